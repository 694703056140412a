package pod

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/cio"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// everyVolume returns a pod with everything that could be left behind.
func everyVolume(name string) PodSpec {
	ctr := testContainer("main", "sleep")
	ctr.VolumeMounts = []corev1.VolumeMount{
		{Name: "disk", MountPath: "/disk"},
		{Name: "disk", MountPath: "/sub", SubPath: "a/b"},
		{Name: "memory", MountPath: "/memory"},
		{Name: "config", MountPath: "/config"},
		{Name: "secret", MountPath: "/secret"},
	}
	return PodSpec{
		Name: name,
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64),
			InitContainers:                []corev1.Container{testContainer("first", "echo", "hello")},
			Containers:                    []corev1.Container{ctr},
			Volumes: []corev1.Volume{
				{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "memory", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
					Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("1Mi")),
				}}},
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}},
				{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}},
			},
		},
		ConfigMaps: []corev1.ConfigMap{{Data: map[string]string{"k": "v"}}},
		Secrets:    []corev1.Secret{{Data: map[string][]byte{"k": []byte("v")}}},
	}
}

func named(s PodSpec) PodSpec {
	s.ConfigMaps[0].Name, s.Secrets[0].Name = "c", "s"
	return s
}

// crashing returns the pod "killed", whose main container crashes twice.
func crashing() PodSpec {
	s := named(everyVolume("killed"))
	s.Annotations = map[string]string{translate.AnnotationRestartBackOff: "2s"}
	s.Spec.Containers[0].Command = []string{"/prog", "seq", "once", "/disk/1", "exit", "7", "--", "once", "/disk/2", "exit", "8", "--", "sleep"}
	return s
}

// childMain creates and removes a pod in a child process, and blocks at a step.
func childMain(step string) int {
	at := func(now string) {
		if now == step {
			fmt.Println("stopped")
			select {}
		}
	}
	ctx := context.Background()
	e, err := Open(ctx, Options{Root: os.Getenv("ADAMANT_TEST_ROOT"), State: os.Getenv("ADAMANT_TEST_STATE"), step: at})
	if err == nil {
		var p *Pod
		if strings.HasPrefix(step, "back-off") {
			if p, err = e.Prepare(ctx, crashing(), nil); err == nil {
				err = p.Supervise(ctx, Supervision{})
			}
		} else if p, err = e.Create(ctx, named(everyVolume("killed")), nil); err == nil {
			err = p.Remove(ctx, 0, nil)
		}
	}
	fmt.Println("not stopped:", err)
	return 1
}

// killAt runs childMain in a process and kills it at a step.
func killAt(t *testing.T, step string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "ADAMANT_TEST_STOP_AT="+step, "ADAMANT_TEST_ROOT="+machine.opts.Root, "ADAMANT_TEST_STATE="+machine.opts.State)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Scan()
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	if said.Text() != "stopped" {
		t.Fatalf("the process said %q, want it to stop at %q", said.Text(), step)
	}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	e := openTest(t)
	for _, step := range []string{
		"reserved", "sandbox", "volumes", "prepared", "created first", "started first", "created main", "started main",
		"removing", "stopped", "erased sandbox", "erased volumes", "erased files",
	} {
		t.Run(step, func(t *testing.T) {
			killAt(t, step)
			if err := e.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkNothing(t, e)
		})
	}
}

// If ctx ends while a pod is created, Create returns the pod or an error. After an
// error nothing of the pod is left.
func TestGivenUpCreate(t *testing.T) {
	for _, step := range []string{
		"reserved", "sandbox", "volumes", "prepared", "created first", "started first", "created main", "started main", "whole", "committed",
	} {
		t.Run(step, func(t *testing.T) {
			openTest(t)
			ctx, giveUp := context.WithCancel(t.Context())
			opts := machine.opts
			opts.step = func(now string) {
				if now == step {
					giveUp()
				}
			}
			e, err := Open(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			p, err := e.Create(ctx, named(everyVolume("given-up")), nil)
			if ctx.Err() == nil {
				t.Fatalf("the step was not reached: %v", err)
			}
			if err == nil {
				if p.Phase != Running {
					t.Errorf("the pod is %s", p.Phase)
				}
				err = p.Remove(t.Context(), 0, nil)
			} else if errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "canceled") {
				err = nil
			}
			if err != nil {
				t.Error(err)
			}
			checkNothing(t, e)
		})
	}
}

// A pod keeps running if its creator was killed after it was committed.
func TestKilledProcessLeavesWholePod(t *testing.T) {
	e := openTest(t)
	killAt(t, "committed")
	if err := e.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := e.Find(t.Context(), "killed")
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, p, "cat", "/config/k", "/secret/k"); got != "vv" {
		t.Errorf("got %q of the volumes, want vv", got)
	}
	if err := p.Remove(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	checkNothing(t, e)
}

// A supervisor that is killed during a back-off loses neither the number of crashes
// nor the time of the next start.
func TestBackOffSurvivesAKill(t *testing.T) {
	e := openTest(t)
	killAt(t, "back-off main 2")
	if err := e.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := e.Find(t.Context(), "killed")
	if err != nil {
		t.Fatal(err)
	}
	removeAtEnd(t, e, p)
	before := *must(p.Container("main"))
	if before.Waiting != "CrashLoopBackOff" || before.Crashes != 2 || before.Restarts != 1 || before.RestartAt.Sub(before.Finished) != 2*time.Second {
		t.Errorf("after the kill: %+v", before)
	}
	var crashes []Crash
	err = p.Start(t.Context(), Supervision{Crashed: func(c Crash) { crashes = append(crashes, c) }})
	if err != nil {
		t.Fatal(err)
	}
	after := must(p.Container("main"))
	if after.State != Started || after.Waiting != "" || after.Restarts != 2 || after.Started.Before(before.RestartAt) {
		t.Errorf("afterwards: %+v, want one more start from %s on", after, before.RestartAt)
	}
	if len(crashes) != 1 || crashes[0].Count != 2 || !crashes[0].RestartAt.Equal(before.RestartAt) || !strings.Contains(crashes[0].Err.Error(), "exit code 8") {
		t.Errorf("crashes: %+v", crashes)
	}
	if first := must(p.Container("first")); first.Restarts != 0 {
		t.Errorf("its init container ran %d times more", first.Restarts)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// checkNothing fails if there is any trace of a pod.
func checkNothing(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sandboxes, err := e.cri.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sandboxes.Items {
		t.Errorf("sandbox of %s is left", s.Metadata.Name)
	}
	containers, err := e.cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Containers {
		t.Errorf("container %s is left", c.Metadata.Name)
	}
	mounts, err := volume.Below(podsDir(e.opts.Root))
	if err != nil || len(mounts) > 0 {
		t.Errorf("mounts are left: %v, %v", mounts, err)
	}
	entries, err := os.ReadDir(podsDir(e.opts.Root))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range entries {
		if d.IsDir() {
			t.Errorf("directory %s is left", d.Name())
		}
	}
	if groups := e.cgroups.dirs(""); len(groups) > 0 {
		t.Errorf("cgroups are left: %v", groups)
	}
}

func TestSameNameTwice(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	_, err := e.Create(t.Context(), testPod(t), nil)
	if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "adamant rm "+p.Name) {
		t.Errorf("got %v, want %v and how to mend it", err, ErrExists)
	}
}

// If two callers create a pod with the same name at the same time, one succeeds
// and the other does not harm that pod.
func TestTwoCreatorsAtOnce(t *testing.T) {
	first, second := openTest(t), openTest(t)
	results := make(chan error, 2)
	for _, e := range []*Engine{first, second} {
		go func() {
			_, err := e.Create(context.Background(), testPod(t), nil)
			results <- err
		}()
	}
	var failed []error
	for range 2 {
		if err := <-results; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) != 1 || !errors.Is(failed[0], ErrExists) {
		t.Fatalf("got errors %v, want one %v", failed, ErrExists)
	}
	p, err := first.Find(t.Context(), testPod(t).Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(t.Context(), 0, nil); err != nil {
		t.Error(err)
	}
	checkNothing(t, first)
}

// Recover does not change a pod that another process created.
func TestRecoverLeavesCreatorsAlone(t *testing.T) {
	e := openTest(t)
	other := openTest(t)
	e.opts.step = func(step string) {
		if err := other.Recover(context.Background()); err != nil {
			t.Errorf("at %s: %v", step, err)
		}
	}
	p := create(t, e, testPod(t))
	if got := run(t, p, "echo", "alive"); got != "alive\n" {
		t.Errorf("got %q", got)
	}
}

// A container runs that the runtime takes for a created one, as after a containerd that
// was killed while it started the container. The pod is removed all the same.
func TestRemoveOfARunningCreatedContainer(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	all, err := e.sandboxes(t.Context(), newLayout(e.opts.Root, p.UID).labels())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	made, err := e.cri.CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{
		PodSandboxId:  all[0].Id,
		SandboxConfig: &runtimeapi.PodSandboxConfig{Metadata: all[0].Metadata},
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "half"},
			Image:    &runtimeapi.ImageSpec{Image: testImage}, Command: []string{"/prog", "sleep"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.daemon.Client().LoadContainer(t.Context(), made.ContainerId)
	if err != nil {
		t.Fatal(err)
	}
	task, err := c.NewTask(t.Context(), cio.NullIO)
	if err == nil {
		err = task.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(t.Context(), 0, nil); err != nil {
		t.Error(err)
	}
	checkNothing(t, e)
}

// A pod is removed while other callers repeatedly find and lock it.
func TestRemovedWhileItIsFound(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	l := newLayout(e.opts.Root, p.UID)
	var finders sync.WaitGroup
	e.opts.step = func(step string) {
		if step != "erased volumes" {
			return
		}
		for range 4 {
			finders.Go(func() {
				for range 300 {
					if lock, err := acquire(l.lock(), false); err == nil {
						lock.release()
					}
				}
			})
		}
	}
	if err := p.Remove(t.Context(), 0, nil); err != nil {
		t.Error(err)
	}
	finders.Wait()
	checkNothing(t, e)
}

// Pods that are created while others are removed keep everything.
func TestPodsComeAndGo(t *testing.T) {
	e := openTest(t)
	var all errgroup.Group
	for i := range 4 {
		all.Go(func() error {
			for range 8 {
				e, err := Open(t.Context(), machine.opts)
				if err != nil {
					return err
				}
				s := testPod(t)
				s.Name += fmt.Sprint(i)
				p, err := e.Create(t.Context(), s, nil)
				if err == nil {
					err = p.Remove(t.Context(), 0, nil)
				}
				if err = errors.Join(err, e.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	checkNothing(t, e)
}
