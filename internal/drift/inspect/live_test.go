package inspect

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProgramThatStarts runs programs from memory, as a runtime does before it executes the
// program of a container. Only one that stays is drift.
func TestProgramThatStarts(t *testing.T) {
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, script string
		want         int
	}{
		{"it executes another", "sleep 0.2; exec sleep 60", 0},
		{"it ends", "sleep 0.2", 0},
		{"it stays", "sleep 60; exit", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fd, err := unix.MemfdCreate("runtime", unix.MFD_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			memory := os.NewFile(uintptr(fd), "runtime")
			defer memory.Close()
			if _, err := memory.Write(shell); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/proc/self/fd/3", "-c", c.script)
			cmd.ExtraFiles = []*os.File{memory}
			cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			defer func() {
				unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
				<-ended
			}()
			if got := livePrograms(t.Context(), []int{cmd.Process.Pid}); len(got) != c.want {
				t.Errorf("got %+v, want %d", got, c.want)
			}
		})
	}
}
