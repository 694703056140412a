package containerd

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestMain makes the test's binary act as Adamant's executable.
func TestMain(m *testing.M) {
	if runc, ok := Wrapped(); ok {
		fmt.Fprintln(os.Stderr, syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
		os.Exit(1)
	}
	if options := os.Getenv(startEnv); options != "" {
		os.Exit(startAsProcess(options))
	}
	runtime.LockOSThread() // no test moves the main thread, of which /proc/net is the view, to a namespace
	os.Exit(m.Run())
}

// startTest starts a private containerd. It is removed at the end of the test.
func startTest(t *testing.T) (*Daemon, Options) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests need root")
	}
	o := Options{Root: tempDir(t, "/var/tmp"), State: tempDir(t, "/run"), Executable: self(t)}
	t.Cleanup(func() {
		if err := Stop(context.Background(), o); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	d, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, o
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func tempDir(t *testing.T, parent string) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "adamant-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// runSandbox starts a pod without containers and returns its ID.
func runSandbox(t *testing.T, d *Daemon, name string) string {
	t.Helper()
	resp, err := d.CRI().RunPodSandbox(t.Context(), &runtimeapi.RunPodSandboxRequest{Config: sandboxConfig(name)})
	if err != nil {
		t.Fatal(err)
	}
	return resp.PodSandboxId
}

func sandboxConfig(name string) *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name + "-uid"},
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
			},
		},
	}
}

func TestStartRunsAPod(t *testing.T) {
	begin := time.Now()
	d, _ := startTest(t)
	t.Logf("started in %v", time.Since(begin))
	begin = time.Now()
	id := runSandbox(t, d, "one")
	t.Logf("sandbox in %v", time.Since(begin))
	resp, err := d.CRI().PodSandboxStatus(t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status.State != runtimeapi.PodSandboxState_SANDBOX_READY {
		t.Errorf("sandbox is %v", resp.Status.State)
	}
	if !d.Network().Subnet.Contains(mustAddr(t, resp.Status.Network.Ip)) {
		t.Errorf("pod has address %s, want one in %s", resp.Status.Network.Ip, d.Network().Subnet)
	}
}

func mustAddr(t *testing.T, s string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
