package local

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// openOwn opens an ephemeral controller.
func openOwn(t *testing.T, e *pod.Engine, made func(*pod.Pod)) *Controller {
	t.Helper()
	c, err := Open(t.Context(), Options{Engine: e, Ephemeral: true, Created: made, Log: func(err error) { t.Log(err) }})
	must(t, err)
	return c
}

// podsOf returns the pods of a workload, either the ephemeral ones or the
// others.
func podsOf(t *testing.T, e *pod.Engine, workload string, ephemeral bool) []string {
	t.Helper()
	pods, err := e.Pods(context.Background())
	must(t, err)
	var names []string
	for _, p := range pods {
		if p.Workload == workload && p.Spec().Ephemeral == ephemeral {
			names = append(names, p.Name)
		}
	}
	return names
}

func isPinned(t *testing.T, e *pod.Engine, ref string) bool {
	t.Helper()
	img, err := e.Daemon().Image(context.Background(), ref)
	must(t, err)
	return img.Pinned
}

func storesLeft(t *testing.T, root string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(ephemeralDir(root), "*"))
	must(t, err)
	return left
}

func TestAControllerOfAProcessStandsBesideTheDeclaredOne(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "twin:1", "twin", "") // its own content, because images are pinned by content
	text := deployment("twin", "twin:1", 2, nil, "")
	declared := openController(t, e)
	apply(t, declared, text)
	ended(t, declared, "twin", rollout.Complete)

	port := freePort(t)
	made := make(chan string, 10)
	own := openOwn(t, e, func(p *pod.Pod) { made <- p.Name })
	apply(t, own, text+serviceOf("twin", port))
	s := ended(t, own, "twin", rollout.Complete)
	if s.Ready != 2 || len(made) != 2 {
		t.Errorf("%d ready, told of %d", s.Ready, len(made))
	}
	if got := fetch(t, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port))+"/"); got != "twin" {
		t.Errorf("served %q", got)
	}
	// A daemon that starts now adopts only its own pods.
	must(t, declared.Close())
	declared = openController(t, e)
	until(t, "the declared ones are ready again", func() bool {
		s, err := declared.Status(s.Key)
		must(t, err)
		return s.Ready == 2 && len(s.Instances) == 2
	})
	if got := podsOf(t, e, "deployment/twin", true); len(got) != 2 {
		t.Errorf("the process's own pods: %v", got)
	}
	if err := destroy(e.Root()); err == nil {
		t.Error("destroyed while it is used")
	}
	if err := checkForeground(e.Root()); err != ErrForeground {
		t.Errorf("got %v, want %v", err, ErrForeground)
	}
	must(t, Sweep(t.Context(), e))

	must(t, own.RemoveAll(t.Context()))
	if left := append(podsOf(t, e, "deployment/twin", true), storesLeft(t, e.Root())...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if got := podsOf(t, e, "deployment/twin", false); len(got) != 2 {
		t.Errorf("the declared pods: %v", got)
	}
	if !isPinned(t, e, "adamant.test/twin:1") {
		t.Error("the declared workload's image is not pinned any more")
	}
	must(t, declared.Delete(s.Key, Author{}))
	until(t, "nobody pins the image", func() bool { return !isPinned(t, e, "adamant.test/twin:1") })
}

// TestDissolveWaitsForPodsOnly checks that a deleted workload is gone once its
// pods are, without waiting for the next comparison.
func TestDissolveWaitsForPodsOnly(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "quick:1", "one", "")
	own, err := Open(t.Context(), Options{Engine: e, Ephemeral: true, Log: func(err error) { t.Log(err) }, driftEvery: time.Hour})
	must(t, err)
	apply(t, own, deployment("quick", "quick:1", 1, nil, ""))
	ended(t, own, "quick", rollout.Complete)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, own.RemoveAll(ctx))
}

// childEnv selects the test that runs in the process that is killed.
const childEnv = "ADAMANT_CONTROLLER_CHILD"

// TestWhatAKilledProcessKeptIsSwept checks that the next process removes the
// ephemeral workloads of a killed one.
func TestWhatAKilledProcessKeptIsSwept(t *testing.T) {
	if root, state, ok := strings.Cut(os.Getenv(childEnv), ":"); ok {
		keepUntilKilled(t, root, state)
		return
	}
	e := openEngine(t)
	loadVersion(t, e, "killed:1", "killed", "")
	child := exec.Command(os.Args[0], "-test.run=^TestWhatAKilledProcessKeptIsSwept$", "-test.v")
	child.Env = append(os.Environ(), childEnv+"="+lab.opts.Root+":"+lab.opts.State)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	complete := false
	for lines := bufio.NewScanner(out); !complete && lines.Scan(); {
		complete = lines.Text() == "complete"
	}
	if !complete {
		t.Fatalf("the child never said so: %v", child.Wait())
	}
	if got := podsOf(t, e, "deployment/killed", true); len(got) != 2 || !isPinned(t, e, "adamant.test/killed:1") {
		t.Errorf("before it was killed: pods %v", got)
	}
	must(t, e.Recover(t.Context()))
	must(t, Sweep(t.Context(), e))
	if got := podsOf(t, e, "deployment/killed", true); len(got) != 2 || !isPinned(t, e, "adamant.test/killed:1") {
		t.Errorf("what lives was swept: pods %v", got)
	}
	must(t, child.Process.Signal(syscall.SIGKILL))
	child.Wait()
	must(t, e.Recover(t.Context()))
	must(t, Sweep(t.Context(), e))
	if left := append(podsOf(t, e, "deployment/killed", true), storesLeft(t, e.Root())...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if isPinned(t, e, "adamant.test/killed:1") {
		t.Error("the image is pinned still")
	}
}

// TestSweepsAtOnce sweeps the same stores from several commands at the same
// time.
func TestSweepsAtOnce(t *testing.T) {
	e := openEngine(t)
	must(t, os.MkdirAll(ephemeralDir(e.Root()), 0o700))
	for range 10 {
		for i := range 20 {
			must(t, os.WriteFile(filepath.Join(ephemeralDir(e.Root()), fmt.Sprintf("foreground-%d%s", i, storeSuffix)), nil, 0o600))
		}
		var sweeps errgroup.Group
		for range 8 {
			sweeps.Go(func() error { return Sweep(t.Context(), e) })
		}
		must(t, sweeps.Wait())
		must(t, Sweep(t.Context(), e))
		if left := storesLeft(t, e.Root()); len(left) > 0 {
			t.Fatalf("left: %v", left)
		}
	}
}

// keepUntilKilled runs in the process that TestWhatAKilledProcessKeptIsSwept
// kills.
func keepUntilKilled(t *testing.T, root, state string) {
	e, err := pod.Open(t.Context(), pod.Options{Root: root, State: state})
	must(t, err)
	own := openOwn(t, e, nil)
	apply(t, own, deployment("killed", "killed:1", 2, nil, ""))
	ended(t, own, "killed", rollout.Complete)
	fmt.Println("complete")
	<-t.Context().Done()
}

func TestDivide(t *testing.T) {
	text := deployment("web", "x:1", 1, nil, "") + serviceOf("web", 80) + serviceOf("behind", 81) + serviceOf("nobody", 82) + `---
apiVersion: v1
kind: Pod
metadata: {name: behind, labels: {app: behind}}
spec: {containers: [{name: a, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec: {containers: [{name: a, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: ends, labels: {app: behind}}
spec: {restartPolicy: Never, containers: [{name: a, image: x}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: both}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: other}
spec: {type: ExternalName, externalName: example.com}
`
	file, err := manifest.Parse("test.yaml", []byte(text))
	must(t, err)
	kept, rest := SplitLongRunning(file)
	for _, c := range []struct {
		name string
		file manifest.File
		want string
	}{
		{"kept", kept, "[default/Deployment/web default/Pod/behind default/Service/web default/Service/behind other/Service/outside default/ConfigMap/both]"},
		{"rest", rest, "[default/Pod/alone default/Pod/ends default/Service/nobody default/ConfigMap/both]"},
	} {
		if got := fmt.Sprint(Keys(c.file)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
