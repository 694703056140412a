// Start measures how long it takes until a pod runs: with Adamant, with a
// volume; with only the CRI calls that such a pod needs; and one container with
// ctr run. All use one private containerd, which is created for this and
// removed afterwards. It needs root and a containerd with ctr in PATH.
//
//	go run ./bench/start
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// target is the maximum ratio of the time of a pod's start to that of the CRI
// calls alone.
const target = 1.2

func main() {
	if runc, ok := containerd.Wrapped(); ok {
		fmt.Fprintln(os.Stderr, syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
		os.Exit(1)
	}
	rounds := flag.Int("rounds", 20, "how often to measure each; the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, rounds int) (err error) {
	root, err := os.MkdirTemp("/var/tmp", "adamant-bench-")
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("/run", "adamant-bench-")
	if err != nil {
		return err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, containerd.Stop(clean, containerd.Options{Root: root, State: state}), os.RemoveAll(root), os.RemoveAll(state))
	}()
	e, err := pod.Open(ctx, pod.Options{Root: root, State: state})
	if err != nil {
		return err
	}
	defer e.Close()
	b := bench{e: e, socket: filepath.Join(state, "containerd.sock")}
	ways := []*way{{name: "adamant", once: b.adamant}, {name: "CRI calls alone", once: b.cri}, {name: "ctr run", once: b.ctr}}
	defer report(ways) // also after an interrupt, because the completed rounds count
	for round := range rounds + 1 {
		for _, w := range ways { // in turn, so that other load affects all of them
			d, err := w.once(ctx, round)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round > 0 { // the first one warms up
				w.times = append(w.times, d)
			}
		}
	}
	return nil
}

// A way is a way to start a container.
type way struct {
	name  string
	once  func(context.Context, int) (time.Duration, error)
	times []time.Duration
}

// report prints the ratios of the medians of the completed rounds, if there are any.
func report(ways []*way) {
	rounds := len(ways[2].times) // the last round may be incomplete
	if rounds == 0 {
		return
	}
	fmt.Printf("start: a pod of one container with a volume (medians of %d)\n", rounds)
	var medians []float64
	for _, w := range ways {
		medians = append(medians, float64(median(w.times[:rounds])))
	}
	adamant, cri, ctr := medians[0], medians[1], medians[2]
	for i, w := range ways {
		fmt.Printf("  %-46s %9.2f×\n", w.name, medians[i]/cri)
	}
	fmt.Printf("  adamant takes %.2f× as long as ctr run, which makes no network, sandbox or volumes\n", adamant/ctr)
	verdict := "reached"
	if adamant/cri > target {
		verdict = "MISSED"
	}
	fmt.Printf("  adamant takes %.2f× as long as the CRI calls alone; target: at most %.1f×: %s\n", adamant/cri, target, verdict)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

type bench struct {
	e      *pod.Engine
	socket string
}

// image is the only image of a new containerd.
const image = containerd.PauseImage

// adamant starts a pod with a volume.
func (b bench) adamant(ctx context.Context, n int) (time.Duration, error) {
	s := pod.PodSpec{Name: fmt.Sprintf("bench-%d", n), Spec: corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "main", Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
			VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}},
		}},
		Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}}
	began := time.Now()
	p, err := b.e.Create(ctx, s, nil)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	return took, p.Remove(ctx, 0, nil)
}

// cri makes the calls that a pod of one container needs, with the seccomp
// profiles and resources of a kubelet.
func (b bench) cri(ctx context.Context, n int) (time.Duration, error) {
	c := b.e.Daemon().CRI()
	name := fmt.Sprintf("calls-%d", n)
	ns := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}
	sandbox := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name},
		Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
			NamespaceOptions: ns,
			Seccomp:          &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault},
		}},
	}
	began := time.Now()
	sb, err := c.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: sandbox})
	if err != nil {
		return 0, err
	}
	ctr, err := c.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: sb.PodSandboxId, SandboxConfig: sandbox, Config: &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: "main"},
		Image:    &runtimeapi.ImageSpec{Image: image},
		Linux: &runtimeapi.LinuxContainerConfig{
			Resources: &runtimeapi.LinuxContainerResources{CpuShares: 2, CpuPeriod: 100_000, OomScoreAdj: 1000},
			SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
				NamespaceOptions: ns,
				Seccomp:          &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined},
			},
		},
	}})
	if err != nil {
		return 0, err
	}
	if _, err := c.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: ctr.ContainerId}); err != nil {
		return 0, err
	}
	took := time.Since(began)
	_, err = c.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: sb.PodSandboxId})
	if err == nil {
		_, err = c.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: sb.PodSandboxId})
	}
	return took, err
}

// ctr runs one container.
func (b bench) ctr(ctx context.Context, n int) (time.Duration, error) {
	id := fmt.Sprintf("ctr-%d", n)
	began := time.Now()
	if err := b.run(ctx, "run", "-d", "--snapshotter", b.e.Daemon().Snapshotter(), image, id); err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, errors.Join(b.run(ctx, "task", "rm", "-f", id), b.run(ctx, "container", "rm", id))
}

func (b bench) run(ctx context.Context, args ...string) error {
	args = append([]string{"--address", b.socket, "--namespace", containerd.Namespace}, args...)
	out, err := exec.CommandContext(ctx, "ctr", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ctr %v: %w: %s", args, err, out)
	}
	return nil
}
