package learn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// A lab is a private containerd with the real program as its traced runtime and
// copy-up tool. The tests of applications share one. A test that kills
// processes, or checks that nothing is left, has its own lab, so that all tests
// can run at the same time.
type lab struct {
	dir     string
	options pod.Options
}

// program builds the real program, once for all labs, in a directory that
// TestMain removes.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-learn-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "adamant")
	build := exec.Command("go", "build", "-o", path, "github.com/adamant-sh/adamant/cmd/adamant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the copy-up image has no libraries
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build adamant: %w\n%s", err, out), os.RemoveAll(dir))
	}
	programDir = dir
	return path, nil
})

// programDir is empty until the program is built.
var programDir string

// theLab is the lab that tests share.
var theLab = sync.OnceValues(func() (*lab, error) {
	l, err := newLab()
	sharedLab = l
	return l, err
})

// sharedLab is nil until a test requests the lab.
var sharedLab *lab

func newLab() (*lab, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/var/tmp", "adamant-learn-")
	if err != nil {
		return nil, err
	}
	return &lab{dir, pod.Options{Root: filepath.Join(dir, "root"), State: filepath.Join(dir, "state"), Executable: path}}, nil
}

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // as cmd/adamant does: net/http logs servers that break the protocol
	code := m.Run()
	var err error
	if sharedLab != nil {
		err = sharedLab.close()
	}
	if programDir != "" {
		err = errors.Join(err, os.RemoveAll(programDir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "close lab:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// close stops the lab's containerd and removes its files.
func (l *lab) close() error {
	err := containerd.Stop(context.Background(), containerd.Options{Root: l.options.Root, State: l.options.State})
	if err != nil {
		return err // what still runs needs the files
	}
	return os.RemoveAll(l.dir)
}

// open returns an engine of the shared lab that is closed with the test.
func open(t *testing.T) *pod.Engine {
	t.Helper()
	requireRoot(t)
	l, err := theLab()
	if err != nil {
		t.Fatal(err)
	}
	return l.open(t)
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test runs containers: it needs root")
	}
}

// open returns an engine that is closed with the test.
func (l *lab) open(t *testing.T) *pod.Engine {
	t.Helper()
	e, err := pod.Open(t.Context(), l.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// parseWorkload parses a manifest of one workload.
func parseWorkload(t *testing.T, text string) Workload {
	t.Helper()
	f, err := manifest.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Workloads(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d workloads, want 1", len(all))
	}
	return all[0]
}
