package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// Stop removes the private containerd and everything that it created: pods,
// images, mounts, the network and files. It also removes an installation that
// is broken or incomplete, and returns nil if there is none.
func Stop(ctx context.Context, o Options) error {
	l, err := newLayout(o.Root, o.State)
	if err != nil {
		return err
	}
	for _, dir := range []string{l.root, l.state} {
		if err := checkOwned(dir); err != nil {
			return err
		}
	}
	if _, err := os.Stat(l.root); errors.Is(err, fs.ErrNotExist) {
		return volume.RemoveAll(l.state)
	}
	unlock, err := lockFile(ctx, l.lock())
	if err != nil {
		return err
	}
	defer unlock()
	if err := stop(ctx, l); err != nil {
		return fmt.Errorf("stop containerd in %s: %w", l.root, err)
	}
	return nil
}

// stop removes pods, then processes, mounts, the network and files. The runtime
// is asked first: it calls the CNI plugins, which release addresses and firewall
// rules. If it fails, everything is removed by force.
func stop(ctx context.Context, l layout) error {
	in, err := loadInstance(l.instance())
	if err != nil {
		in = &instance{}
	}
	removeErr := removePods(ctx, l)
	p, err := findProcess(l)
	if err != nil {
		return err
	}
	if p != nil {
		defer p.close()
		if err := p.stop(ctx, 10*time.Second); err != nil {
			return err
		}
	}
	if err := killLeftovers(ctx, l); err != nil {
		return errors.Join(removeErr, err)
	}
	// Before files are removed: RemoveAll would delete the content of volumes
	// and images that are still mounted below the directories.
	for _, dir := range []string{l.state, l.root} {
		if err := volume.UnmountBelow(dir); err != nil {
			return errors.Join(removeErr, err)
		}
	}
	if err := in.removeNetwork(ctx, l); err != nil {
		return errors.Join(removeErr, err)
	}
	for _, dir := range []string{l.state, l.root} {
		if err := volume.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// removePods asks the daemon to stop and remove every pod. A daemon that was
// killed is started again for this.
func removePods(ctx context.Context, l layout) error {
	if _, err := os.Stat(l.containerdState()); errors.Is(err, fs.ErrNotExist) {
		return nil // the daemon has not run since the machine booted
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d, err := start(ctx, l, "")
	if err != nil {
		return err
	}
	defer d.Close()
	pods, err := d.cri.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	var failed []error
	for _, pod := range pods.Items {
		_, err := d.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: pod.Id})
		if err == nil {
			_, err = d.cri.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: pod.Id})
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// killLeftovers kills the processes that the daemon left: its shims, and then
// the containers. runc, which knows their cgroups, kills these.
func killLeftovers(ctx context.Context, l layout) error {
	shims, err := findShims(l)
	if err != nil {
		return err
	}
	for _, s := range shims {
		if err := s.kill(l); err != nil {
			return err
		}
	}
	for _, socket := range shimSockets(l) {
		if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	containers, err := filepath.Glob(filepath.Join(l.runcRoot(), "*", "*"))
	if err != nil || len(containers) == 0 {
		return err
	}
	runc := lookPath("runc")
	if runc == "" {
		return &MissingError{[]Missing{{"runc", mendRunc()}}}
	}
	for _, dir := range containers {
		out, err := exec.CommandContext(ctx, runc, "--root", filepath.Dir(dir), "delete", "--force", filepath.Base(dir)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("end container %s: %s", filepath.Base(dir), firstLine(out, err))
		}
	}
	return nil
}

// shimSockets lists the sockets of the shims. They are outside of the state
// directory; a file in each container's bundle names them.
func shimSockets(l layout) []string {
	files, _ := filepath.Glob(filepath.Join(l.containerdState(), "io.containerd.runtime.v2.task", "*", "*", "*"))
	var sockets []string
	for _, file := range files {
		if name := filepath.Base(file); name != "address" && name != "bootstrap.json" {
			continue
		}
		if raw, err := os.ReadFile(file); err == nil {
			sockets = append(sockets, shimSocket.FindString(string(raw)))
		}
	}
	return slices.DeleteFunc(sockets, func(s string) bool { return s == "" })
}

var shimSocket = regexp.MustCompile(`/run/containerd/s/[0-9a-f]{64}`)
