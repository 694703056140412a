package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/test/imagetest"
)

// readImages reads all that drift --root --image reads of a source.
func readImages(ctx context.Context, source string) error {
	set, err := Open(ctx, source, OpenOptions{})
	if err != nil {
		return err
	}
	defer set.Close()
	for _, img := range set.Images {
		if _, _, err := Flatten(ctx, img, FlattenOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// Each archive is accepted, or refused for its reason. A context that has ended ends
// the reading of every one.
func TestHostileArchives(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range append(imagetest.Hostile(), imagetest.Odd()...) {
		t.Run(tt.Name, func(t *testing.T) {
			source := write(t, tt.Bytes())
			switch err := readImages(t.Context(), source); {
			case tt.Refused == "" && err != nil:
				t.Errorf("%v, want no error", err)
			case tt.Refused != "" && (err == nil || !strings.Contains(err.Error(), tt.Refused)):
				t.Errorf("%v, want an error with %q", err, tt.Refused)
			}
			if err := readImages(cancelled, source); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
}

// maxMemory bounds the memory for reading any of the hostile archives, in KiB.
const maxMemory = 768 << 10

// All hostile archives are read by one process, whose memory is bounded.
func TestHostileArchivesTakeLittleMemory(t *testing.T) {
	if dir := os.Getenv("ADAMANT_TEST_READ"); dir != "" {
		sources, err := filepath.Glob(dir + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range sources {
			if err := readImages(t.Context(), source); err != nil {
				fmt.Println(filepath.Base(source), err)
			}
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(status))
		return
	}
	t.Parallel()
	dir := t.TempDir()
	costly := imagetest.Costly()
	for _, a := range append(imagetest.Hostile(), costly...) {
		if err := os.WriteFile(filepath.Join(dir, a.Name), a.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The race detector would take several times the memory and time.
	program := filepath.Join(t.TempDir(), "image.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-vet=off", "-c", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), "ADAMANT_TEST_READ="+dir)
	out, err := cmd.CombinedOutput()
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
	if err != nil || peak == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if used, err := strconv.Atoi(string(peak[1])); err != nil || used > maxMemory {
		t.Errorf("%d KiB (%v), want at most %d", used, err, maxMemory)
	}
	for _, a := range costly {
		if !regexp.MustCompile("(?m)^" + a.Name + " .*" + a.Refused + "$").Match(out) {
			t.Errorf("%s: no error that ends with %q", a.Name, a.Refused)
		}
	}
}

// A pipe that nothing is written to does not outlast the context.
func TestOpenPipe(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	for name, open := range map[string]func(context.Context) error{
		"FIFO without a writer": func(ctx context.Context) error { _, err := OpenArchive(ctx, fifo, OpenOptions{}); return err },
		"standard input":        func(ctx context.Context) error { _, err := ReadArchive(ctx, reader, OpenOptions{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() { result <- open(ctx) }()
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	// What is written to a FIFO is read, also if the writer comes later.
	archive := (imagetest.Archive{}).Bytes()
	written := make(chan error)
	go func() { written <- os.WriteFile(fifo, archive, 0) }()
	if err := readImages(t.Context(), fifo); err != nil {
		t.Error(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// A broken link of a layout in a directory is reported as one.
func TestBrokenLink(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"index.json leads to /nowhere": func(dir string) error {
			return errors.Join(os.Remove(dir+"/index.json"), os.Symlink("/nowhere", dir+"/index.json"))
		},
		"blobs leads to ../other": func(dir string) error {
			return errors.Join(os.Rename(dir+"/blobs", dir+"/moved"), os.Symlink("../other", dir+"/blobs"))
		},
		"index.json leads to index.json": func(dir string) error {
			return errors.Join(os.Remove(dir+"/index.json"), os.Symlink("index.json", dir+"/index.json"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := layoutDir(t, webImage(t))
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			if err := readImages(t.Context(), dir); !errors.Is(err, ErrBrokenLink) || !strings.Contains(err.Error(), "broken link: /"+name) {
				t.Errorf("got %v", err)
			}
		})
	}
}
