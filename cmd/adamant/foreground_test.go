package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/test/web"
)

// besidePod is a pod that is started once.
const besidePod = `---
apiVersion: v1
kind: Pod
metadata: {name: beside}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: web, image: "adamant.test/own:1", imagePullPolicy: Never}
`

// inForeground starts adamant run with a manifest. output returns what it has
// printed so far.
func (s *served) inForeground(text string) (_ *exec.Cmd, output func() string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "foreground.yaml")
	check(s.t, os.WriteFile(file, []byte(text), 0o600))
	out, err := os.Create(filepath.Join(s.dir, "foreground.out"))
	check(s.t, err)
	defer out.Close()
	cmd := s.command("run", "-f", file)
	cmd.Stdout, cmd.Stderr = out, out
	check(s.t, cmd.Start())
	s.t.Cleanup(func() { // if the test failed before
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	return cmd, func() string {
		text, err := os.ReadFile(out.Name())
		check(s.t, err)
		return string(text)
	}
}

// A run in the foreground and a daemon can have workloads of the same name. Ctrl-C
// removes those of the run, even if the runtime was killed.
func TestForegroundBesideADaemon(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.load("declared", "declared", web.Good)
	s.load("own", "own", web.Good)
	declaredPort, ownPort := freePort(t), freePort(t)
	s.apply(webManifest("declared", 2, declaredPort))
	before := s.ended("web")

	cmd, out := s.inForeground(webManifest("own", 2, ownPort) + besidePod)
	s.until("the run says that it is complete", func() bool {
		return strings.Contains(out(), "Deployment/web is complete: 2 instances, web at 127.0.0.1:") && strings.Contains(out(), "supervising 3 pods")
	})
	s.until("both serve", func() bool { return fetch(ownPort) == "own\n" && fetch(declaredPort) == "declared\n" })
	s.until("there are five pods", func() bool { return s.pods() == 5 })
	s.kill()
	s.start()
	if got, want := names(s.ended("web")), names(before); !slices.Equal(got, want) || s.pods() != 5 {
		t.Errorf("the next daemon found %v among %d pods, want %v among 5", got, s.pods(), want)
	}

	s.kill()
	for _, pid := range s.processes("containerd") {
		check(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	check(t, cmd.Process.Signal(syscall.SIGINT))
	if err := cmd.Wait(); err != nil {
		t.Errorf("the run ended with %v\n%s", err, out())
	}
	s.start()
	if s.ended("web"); s.pods() != 2 || fetch(declaredPort) != "declared\n" {
		t.Errorf("%d pods are left, want the declared 2\n%s", s.pods(), out())
	}
	s.supervisesDetached()
}

// A daemon supervises the pods of run -d, also those that it finds when it starts.
func (s *served) supervisesDetached() {
	s.t.Helper()
	file := filepath.Join(s.dir, "detached.yaml")
	check(s.t, os.WriteFile(file, []byte(strings.TrimPrefix(besidePod, "---\n")), 0o600))
	out, err := s.command("run", "-d", "-f", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "pod beside is ready") || !strings.Contains(string(out), "adamant serve supervises them") {
		s.t.Errorf("run -d: %v\n%s", err, out)
	}
	for restarts := range 2 {
		pid := s.restarted("beside", restarts)
		check(s.t, syscall.Kill(pid, syscall.SIGKILL))
		s.restarted("beside", restarts+1)
		s.kill()
		s.start()
	}
	check(s.t, s.adamant("rm", "beside"))
}

// restarted waits until the first container of a pod runs after a number of restarts,
// and returns its process.
func (s *served) restarted(name string, restarts int) (pid int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%s was restarted %d times", name, restarts), func() bool {
		var list struct {
			Pods []struct {
				Name       string
				Containers []struct{ PID, Restarts int }
			}
		}
		if err := s.ask(&list, "ps", "-o", "json"); err != nil {
			return false
		}
		for _, p := range list.Pods {
			if p.Name == name && p.Containers[0].Restarts == restarts {
				pid = p.Containers[0].PID
			}
		}
		return pid != 0
	})
	return pid
}

func names(s local.Status) []string {
	var list []string
	for _, i := range s.Instances {
		list = append(list, i.Name)
	}
	slices.Sort(list)
	return list
}

// pods returns the number of pods, or -1 after an error.
func (s *served) pods() int {
	var list struct{ Pods []struct{} }
	if err := s.ask(&list, "ps", "-o", "json"); err != nil {
		return -1
	}
	return len(list.Pods)
}
