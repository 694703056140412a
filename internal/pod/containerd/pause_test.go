package containerd

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestPauseELF(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			raw, err := pauseELF(arch)
			if err != nil {
				t.Fatal(err)
			}
			f, err := elf.NewFile(strings.NewReader(string(raw)))
			if err != nil {
				t.Fatal(err)
			}
			if f.Machine != machine || f.Type != elf.ET_EXEC || f.Entry != pauseBase+pauseStart {
				t.Errorf("header is %+v", f.FileHeader)
			}
			if load := f.Progs[0]; load.Filesz != uint64(len(raw)) || load.Flags != elf.PF_R|elf.PF_X {
				t.Errorf("segment is %+v, the file has %d bytes", load.ProgHeader, len(raw))
			}
		})
	}
	if _, err := pauseELF("mips"); err == nil {
		t.Error("a program for a machine without instructions")
	}
}

// TestPauseEnds checks that the program waits, and exits with 0 on a signal.
func TestPauseEnds(t *testing.T) {
	raw, err := pauseELF(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(path, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := exec.Command(path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitCaught(t, cmd.Process.Pid)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v", signal, err)
		}
	}
}

// waitCaught waits until a process ignores SIGCHLD and handles SIGINT.
func waitCaught(t *testing.T, pid int) {
	t.Helper()
	for t.Context().Err() == nil {
		ignored, caught := signalsOf(t, pid)
		if ignored&(1<<(sigChld-1)) != 0 && caught&(1<<(sigInt-1)) != 0 {
			return
		}
	}
}

// TestPauseReaps checks that in a shared PID namespace, where orphans become
// children of the pause program, none of them stays a zombie.
func TestPauseReaps(t *testing.T) {
	d, _ := startTest(t)
	loadProbe(t, d)
	config := sandboxConfig("shared")
	config.Linux.SecurityContext.NamespaceOptions.Pid = runtimeapi.NamespaceMode_POD
	sandbox, err := d.CRI().RunPodSandbox(t.Context(), &runtimeapi.RunPodSandboxRequest{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	made, err := d.CRI().CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{
		PodSandboxId: sandbox.PodSandboxId, SandboxConfig: config,
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "probe"}, Args: []string{"wait"},
			Image: &runtimeapi.ImageSpec{Image: probeName},
			Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_POD},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CRI().StartContainer(t.Context(), &runtimeapi.StartContainerRequest{ContainerId: made.ContainerId}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := d.CRI().Run(t.Context(), made.ContainerId, []string{"/probe", "orphan"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	res, err := d.CRI().Run(t.Context(), made.ContainerId, []string{"/probe", "processes"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := "pause\nprobe\nprobe\n"; string(res.Stdout) != want {
		t.Errorf("processes in the pod:\n%swant:\n%s", res.Stdout, want)
	}
	if _, err := d.CRI().StopPodSandbox(t.Context(), &runtimeapi.StopPodSandboxRequest{PodSandboxId: sandbox.PodSandboxId}); err != nil {
		t.Error(err)
	}
}
