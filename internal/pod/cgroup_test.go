package pod

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// A runtime that was killed may leave processes in a pod's cgroup, even frozen
// ones, that it does not know. The pod can still be removed.
func TestRemoveKillsWhatRuntimeForgot(t *testing.T) {
	for name, frozen := range map[string]bool{"running": false, "frozen": true} {
		t.Run(name, func(t *testing.T) {
			e := openTest(t)
			p := create(t, e, testPod(t))
			stray := exec.Command("sleep", "1000")
			if err := stray.Start(); err != nil {
				t.Fatal(err)
			}
			go stray.Wait() // it ends with the pod
			forget(t, e.cgroups.dirs(e.cgroups.podParent(p.UID)), stray.Process.Pid, frozen)
			if err := p.Remove(t.Context(), 0, nil); err != nil {
				t.Error(err)
			}
			checkNothing(t, e)
		})
	}
}

// forget moves a process to a new cgroup below those of a pod.
func forget(t *testing.T, cgroups []string, pid int, frozen bool) {
	t.Helper()
	if len(cgroups) == 0 {
		t.Fatal("the pod has no cgroup")
	}
	for _, dir := range cgroups {
		parent := dir
		dir = filepath.Join(dir, "forgotten")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// A v1 cpuset accepts no process before both files are set, see cpuset(7).
		for _, must := range []string{"cpuset.cpus", "cpuset.mems"} {
			if all, err := os.ReadFile(filepath.Join(parent, must)); err == nil && len(all) > 1 {
				tell(t, filepath.Join(dir, must), string(all))
			}
		}
		tell(t, filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
		for file, freeze := range map[string]string{"freezer.state": "FROZEN", "cgroup.freeze": "1"} {
			if file = filepath.Join(dir, file); frozen && exists(file) {
				tell(t, file, freeze)
			}
		}
	}
}

func tell(t *testing.T, file, what string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(what), 0); err != nil {
		t.Fatal(err)
	}
}
