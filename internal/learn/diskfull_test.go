package learn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/pod"
)

// smallLab returns a lab whose data is on a small disk.
func smallLab(t *testing.T) *lab {
	t.Helper()
	requireRoot(t)
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "adamant-full-")
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(dir, "disk")
	small := &lab{dir, pod.Options{Root: filepath.Join(disk, "root"), State: filepath.Join(dir, "state"), Executable: path}}
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=512m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := pod.Destroy(context.Background(), small.options)
		err = errors.Join(err, unix.Unmount(disk, 0))
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return small
}

// fillDisk uses all free space except some bytes until the returned function is
// called.
func fillDisk(t *testing.T, dir string, leave int64) (free func()) {
	t.Helper()
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size-leave), f.Close()); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk runs commands on a full disk: they must report that, and succeed
// once there is space.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	l := smallLab(t)
	archive, err := buildHostile()
	if err != nil {
		t.Fatal(err)
	}
	file := manifestFile(t)
	succeed(t, l.command(t.Context(), "images"))
	for _, c := range []struct {
		name  string
		leave int64 // bytes of free space
		args  []string
	}{
		{"load", 0, []string{"load", archive}},
		{"load half", 1 << 20, []string{"load", archive}},
		{"run", 0, []string{"run", "-d", "-f", file}},
		{"run half", 12 << 10, []string{"run", "-d", "-f", file}},
		{"learn", 0, []string{"learn", file, "--exercise", "/hostile exit", "--quiet", "300ms"}},
		{"learn nearly", 8 << 20, []string{"learn", file, "--exercise", "/hostile exit", "--quiet", "3s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			free := fillDisk(t, filepath.Join(l.dir, "disk"), c.leave)
			cmd := l.command(t.Context(), c.args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			free()
			t.Log(stderr.String())
			if err == nil || !strings.Contains(stderr.String(), "no space left on device") && !strings.Contains(stderr.String(), "is nearly full") {
				t.Errorf("got %v: %s", err, stderr.String())
			}
			if strings.Contains(stderr.String(), ErrUnfit.Error()) {
				t.Errorf("blames the workload: %s", stderr.String())
			}
			succeed(t, l.command(t.Context(), c.args...))
			succeed(t, l.command(t.Context(), "rm", "--all", "--grace", "0"))
			if c.args[0] == "load" {
				succeed(t, l.command(t.Context(), "images"))
			}
			e, err := pod.Open(t.Context(), l.options)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			l.checkNothing(t, e)
			if c.name == "load" {
				removeImage(t, e)
			}
		})
	}
}

// removeImage removes an image so that the next load starts from the beginning.
func removeImage(t *testing.T, e *pod.Engine) {
	t.Helper()
	if err := e.Daemon().RemoveImage(t.Context(), hostileImage); err != nil {
		t.Fatal(err)
	}
}
