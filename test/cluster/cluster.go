// Package cluster runs a real Kubernetes node on one machine for tests: etcd,
// the API server, the controller manager, the scheduler, a kubelet and
// containerd 2.4, all with the programs of the releases.
//
// It must run in ./isolate, which provides a network namespace and kills all
// remaining processes when the test ends.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// The addresses of the isolated network; ./isolate sets that of the node.
const (
	nodeIP       = "10.77.0.1"
	serviceRange = "10.78.0.0/16"
	podRange     = "10.79.0.0/24"
	apiURL       = "https://" + nodeIP + ":6443"
	nodeName     = "node"
)

// Options configures where a cluster finds its programs.
type Options struct {
	Programs   string   // directory with etcd, kube-* and kubelet, as k8s/build prints it
	Containerd string   // directory with containerd 2.4, as scripts/containerd-2 prints it
	Images     []string // archives to load; pods use them with imagePullPolicy Never
	Pause      string   // name of the image that holds a pod's namespaces, from one of the archives
}

// A Cluster is a running node, until Close.
type Cluster struct {
	dir       string
	opts      Options
	api       *api
	processes []*process // in the order in which they started
}

// Start starts a cluster with its files below dir and waits until its node is
// ready. If it fails, the error has the last lines of the log of the program
// that failed.
func Start(ctx context.Context, dir string, opts Options) (*Cluster, error) {
	c := &Cluster{dir: dir, opts: opts}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	token, err := c.writeFiles()
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if c.api, err = newAPI(apiURL, c.path("tls.crt"), token); err != nil {
		return err
	}
	steps := []struct {
		program string
		args    []string
		ready   func(context.Context) error
	}{
		{"etcd", c.etcdArgs(), nil},
		{"containerd", []string{"--config", c.path("containerd.toml")}, c.loadImages},
		{"kube-apiserver", c.apiserverArgs(), c.api.ready},
		{"kube-controller-manager", c.controllerArgs(), nil},
		{"kube-scheduler", c.schedulerArgs(), nil},
		{"kubelet", c.kubeletArgs(), c.nodeReady},
	}
	for _, s := range steps {
		p, err := startProcess(c.program(s.program), c.path(s.program+".log"), c.environment(), s.args...)
		if err != nil {
			return err
		}
		c.processes = append(c.processes, p)
		if s.ready == nil {
			continue
		}
		if err := until(ctx, p, s.ready); err != nil {
			return fmt.Errorf("%s: %w\n%s", s.program, err, p.lastLines())
		}
	}
	return nil
}

// Close removes the pods and stops the processes in the reverse order of their
// start.
func (c *Cluster) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	// Pods can exist only if all six programs have started. Controllers would create
	// them again.
	if len(c.processes) == 6 {
		errs = append(errs, c.processes[3].stop(), c.deletePods(ctx))
		c.processes = slices.Delete(c.processes, 3, 4)
	}
	for _, p := range slices.Backward(c.processes) {
		errs = append(errs, p.stop())
	}
	c.processes = nil
	removeCgroups()
	return errors.Join(errs...)
}

// removeCgroups removes the cgroup that containerd created for all containers,
// in each hierarchy. It ignores errors: a cgroup with children, which is in
// use, cannot be removed.
func removeCgroups() {
	for _, pattern := range []string{"/sys/fs/cgroup/k8s.io", "/sys/fs/cgroup/*/k8s.io"} {
		found, _ := filepath.Glob(pattern) // only a bad pattern is an error
		for _, dir := range found {
			syscall.Rmdir(dir)
		}
	}
}

// Kubeconfig returns the path of a file with which clients reach the cluster as
// its administrator.
func (c *Cluster) Kubeconfig() string { return c.path("kubeconfig") }

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// program finds a program in the two directories in the options.
func (c *Cluster) program(name string) string {
	if name == "containerd" || name == "ctr" {
		return filepath.Join(c.opts.Containerd, name)
	}
	return filepath.Join(c.opts.Programs, name)
}

// environment makes containerd find the shim of its own release first.
func (c *Cluster) environment() []string {
	return append(os.Environ(), "PATH="+c.opts.Containerd+":"+os.Getenv("PATH"))
}

// until repeats check until it returns nil, the process ends or ctx ends.
func until(ctx context.Context, p *process, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended before it was ready: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
