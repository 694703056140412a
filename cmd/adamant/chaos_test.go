package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// TestChaos makes fifty rollouts and kills a process at a random moment of each:
// the daemon, the balancer, containerd, a shim or an instance. In the end only the declared
// workload runs, and the history has every rollout.
func TestChaos(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.load("chaos-a", "a", "")
	s.load("chaos-b", "b", "")
	port := freePort(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	victims := []string{"serve", "adamant", "containerd", "containerd-shim", "/web"} // adamant: the balancer
	const rollouts = 50
	begun := 0
	for n := range rollouts {
		// If the previous rollout was rolled back, this version still runs, and the
		// other one is to be tried again.
		if s.apply(webManifest([]string{"chaos-a", "chaos-b"}[n%2], 2, port), "--retry") != local.Unchanged {
			begun++
		}
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		victim := victims[r.IntN(len(victims))]
		s.killOne(r, victim)
		st := s.ended("web")
		for _, i := range st.Instances {
			if i.Generation != st.Generation {
				t.Fatalf("rollout %d, killed %s: instance %s is of generation %d, not %d", n, victim, i.Name, i.Generation, st.Generation)
			}
		}
	}
	var doc struct{ History local.History }
	check(t, s.ask(&doc, "rollout", "history", "web", "-o", "json"))
	if got := len(doc.History.Rollouts); got != begun {
		t.Errorf("the history has %d rollouts of %d", got, begun)
	}
	for _, a := range doc.History.Rollouts {
		if a.Ended.IsZero() {
			t.Errorf("rollout %d has no end: %+v", a.Number, a)
		}
	}
	s.until("a request is answered", func() bool { return strings.Contains(fetch(port), "\n") })
	var pods report.PodList
	s.until("there are two pods", func() bool { // the last one to be killed may be replaced still
		check(t, s.ask(&pods, "ps", "-o", "json"))
		return len(pods.Pods) == 2
	})
	check(t, s.adamant("delete", "web", "svc/web"))
	check(t, s.ask(&pods, "ps", "-o", "json"))
	if len(pods.Pods) != 0 {
		t.Errorf("deleting left %+v", pods.Pods)
	}
}

// killOne kills a process of a program in the lab. It starts the daemon again, as
// systemd would.
func (s *served) killOne(r *rand.Rand, program string) {
	if program == "serve" {
		s.kill()
		s.start()
		return
	}
	pids := s.processes(program)
	if len(pids) > 0 {
		syscall.Kill(pids[r.IntN(len(pids))], syscall.SIGKILL)
	}
}

// processes returns the processes of a program in this lab. The runtime's
// processes have the lab's directory in their command line; the root of an
// instance is mounted from it.
func (s *served) processes(program string) []int {
	var pids []int
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline") // only a bad pattern is an error
	for _, path := range all {
		line, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		args := strings.Split(string(line), "\x00")
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || !isProgram(args[0], program) {
			continue
		}
		where := string(line)
		if program == "/web" {
			mounts, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "mountinfo")) // it may be gone
			where = string(mounts)
		}
		if strings.Contains(where, s.dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isProgram reports whether the first argument of a process is a program. The
// name of a shim ends with its version.
func isProgram(arg, program string) bool {
	if program == "containerd-shim" {
		return strings.HasPrefix(filepath.Base(arg), program)
	}
	return filepath.Base(arg) == filepath.Base(program)
}

func fetch(port int) string {
	body, err := httpGet(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		return ""
	}
	return body
}
