package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// buildProbe compiles testdata/probe once for all tests.
var buildProbe = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "adamant-probe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "probe")
	cmd := exec.Command("go", "build", "-o", program, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the probe: %w\n%s", err, out)
	}
	return os.ReadFile(program)
})

// probeImage returns an image that contains only testdata/probe, as /probe.
func probeImage(t *testing.T) v1.Image {
	t.Helper()
	raw, err := buildProbe()
	if err != nil {
		t.Fatal(err)
	}
	file := image.File{Entry: tree.Entry{Path: "/probe", Kind: tree.Regular, Mode: 0o755}, Content: raw}
	l, err := image.NewLayer(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.New(image.Config{Entrypoint: []string{"/probe"}}, l)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

const probeName = "example.com/probe:1"

// startProbe runs the probe in a new pod and returns the container's ID.
func startProbe(t *testing.T, d *Daemon, pod string, args ...string) string {
	t.Helper()
	sandbox := runSandbox(t, d, pod)
	made, err := d.CRI().CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{
		PodSandboxId: sandbox, SandboxConfig: sandboxConfig(pod),
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "probe"},
			Image:    &runtimeapi.ImageSpec{Image: probeName}, Args: args,
			Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CRI().StartContainer(t.Context(), &runtimeapi.StartContainerRequest{ContainerId: made.ContainerId}); err != nil {
		t.Fatal(err)
	}
	return made.ContainerId
}

func loadProbe(t *testing.T, d *Daemon) {
	t.Helper()
	if _, err := d.Import(t.Context(), layoutOf(t, probeImage(t), probeName), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestExec(t *testing.T) {
	d, _ := startTest(t)
	loadProbe(t, d)
	id := startProbe(t, d, "exec", "wait")
	t.Run("streams and exit code", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		code, err := d.CRI().Stream(t.Context(), id, []string{"/probe", "cat"}, cri.Streams{
			Stdin: strings.NewReader("hello"), Stdout: &stdout, Stderr: &stderr,
		})
		if err != nil || code != 0 || stdout.String() != "hello" || stderr.String() != "reading\n" {
			t.Errorf("got code %d, stdout %q, stderr %q, error %v", code, stdout.String(), stderr.String(), err)
		}
		code, err = d.CRI().Stream(t.Context(), id, []string{"/probe", "exit", "7"}, cri.Streams{Stdout: io.Discard})
		if err != nil || code != 7 {
			t.Errorf("got code %d, error %v, want 7", code, err)
		}
	})
	t.Run("much through stdin", func(t *testing.T) {
		in := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		var out bytes.Buffer
		_, err := d.CRI().Stream(t.Context(), id, []string{"/probe", "cat"}, cri.Streams{Stdin: bytes.NewReader(in), Stdout: &out})
		if err != nil || !bytes.Equal(out.Bytes(), in) {
			t.Errorf("%d of %d bytes came back (%v)", out.Len(), len(in), err)
		}
	})
	t.Run("terminal", func(t *testing.T) { testTerminal(t, d, id) })
	t.Run("run", func(t *testing.T) {
		res, err := d.CRI().Run(t.Context(), id, []string{"/probe", "exit", "3"}, 10*time.Second)
		if err != nil || res.ExitCode != 3 {
			t.Errorf("got %+v, error %v", res, err)
		}
		_, err = d.CRI().Run(t.Context(), id, []string{"/probe", "wait"}, time.Second)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want a timeout", err)
		}
		_, err = d.CRI().Run(t.Context(), "nothing", []string{"x"}, time.Second)
		if !cri.IsNotFound(err) {
			t.Errorf("got error %v, want not found", err)
		}
	})
	t.Run("a context that ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stdout := writerFunc(func(p []byte) { cancel() })
		_, err := d.CRI().Stream(ctx, id, []string{"/probe", "wait"}, cri.Streams{Stdout: stdout})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want context.Canceled", err)
		}
	})
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// testTerminal resizes the terminal each time its size was printed.
func testTerminal(t *testing.T, d *Daemon, id string) {
	resize := make(chan cri.Size, 1)
	resize <- cri.Size{Width: 100, Height: 40}
	var printed strings.Builder
	stdout := writerFunc(func(p []byte) {
		if printed.Write(p); strings.HasSuffix(printed.String(), "100x40\r\n") {
			resize <- cri.Size{Width: 1, Height: 2}
			close(resize)
		}
	})
	code, err := d.CRI().Stream(t.Context(), id, []string{"/probe", "size"}, cri.Streams{Stdout: stdout, TTY: true, Resize: resize})
	if err != nil || code != 0 {
		t.Errorf("got code %d, error %v", code, err)
	}
	if !strings.HasSuffix(printed.String(), "100x40\r\n1x2\r\n") {
		t.Errorf("printed %q", printed.String())
	}
}
