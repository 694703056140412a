package learn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// lab is one private containerd for all tests of the package, with the real
// program as its traced runtime and copy-up tool.
type lab struct {
	dir     string
	options pod.Options
}

var theLab = sync.OnceValues(newLab)

func newLab() (*lab, error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-learn-")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "adamant")
	build := exec.Command("go", "build", "-o", program, "github.com/adamant-sh/adamant/cmd/adamant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the copy-up image has no libraries
	if out, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("build adamant: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return &lab{dir, pod.Options{Root: filepath.Join(dir, "root"), State: filepath.Join(dir, "state"), Executable: program}}, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := closeLab(); err != nil {
		fmt.Fprintln(os.Stderr, "close lab:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// labMade tells whether a test asked for the lab.
var labMade bool

func closeLab() error {
	if !labMade {
		return nil
	}
	l, err := theLab()
	if err != nil {
		return err
	}
	err = containerd.Stop(context.Background(), containerd.Options{Root: l.options.Root, State: l.options.State})
	if err != nil {
		return err
	}
	return os.RemoveAll(l.dir)
}

// open returns an engine that is closed with the test.
func open(t *testing.T) *pod.Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test runs containers: it needs root")
	}
	labMade = true
	l, err := theLab()
	if err != nil {
		t.Fatal(err)
	}
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

// subject parses a manifest of one workload.
func subject(t *testing.T, text string) Subject {
	t.Helper()
	f, err := manifest.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Subjects(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d workloads, want 1", len(all))
	}
	return all[0]
}
