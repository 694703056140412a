package pod

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// testImage is the image of the tests: /prog and a few files.
const testImage = "adamant.test/prog:1"

// machine is the private containerd that all tests of this package share.
var machine struct {
	once sync.Once
	err  error
	opts Options
}

func TestMain(m *testing.M) {
	if runc, ok := containerd.Wrapped(); ok {
		fmt.Fprintln(os.Stderr, syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
		os.Exit(1)
	}
	if step := os.Getenv("ADAMANT_TEST_STOP_AT"); step != "" {
		os.Exit(childMain(step))
	}
	code := m.Run()
	if machine.opts.Root != "" {
		if err := stopMachine(); err != nil {
			fmt.Fprintln(os.Stderr, "clean up:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// stopMachine removes the containerd of the tests. It fails if mounts are left.
func stopMachine() error {
	o := machine.opts
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	left, err := volume.Below(podsDir(o.Root))
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left mounted: %v", left))
	}
	return errors.Join(err, Destroy(ctx, o), os.RemoveAll(o.Root), os.RemoveAll(o.State))
}

// openTest opens an engine with the tests' containerd.
func openTest(t *testing.T) *Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests need root")
	}
	machine.once.Do(func() { machine.err = startMachine(context.Background()) })
	if machine.err != nil {
		t.Fatal(machine.err)
	}
	e, err := Open(t.Context(), machine.opts)
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

func startMachine(ctx context.Context) error {
	root, err := os.MkdirTemp("/var/tmp", "adamant-test-")
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("/run", "adamant-test-")
	if err != nil {
		return err
	}
	machine.opts = Options{Root: root, State: state}
	e, err := Open(ctx, machine.opts)
	if err != nil {
		return err
	}
	defer e.Close()
	img, err := buildImage()
	if err != nil {
		return err
	}
	return load(ctx, e, testImage, img)
}

// buildImage builds the image of the program in testdata/prog.
func buildImage() (v1.Image, error) {
	dir, err := os.MkdirTemp("", "prog-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "prog")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "./testdata/prog")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build prog: %w\n%s", err, out)
	}
	prog, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	layer, err := layerOf(map[string]string{
		"prog": string(prog), "etc/passwd": "root:x:0:0::/:/prog\napp:x:1000:1000::/:/prog\n",
		"etc/group": "root:x:0:\napp:x:1000:\nextra:x:1500:app\n", "data/file": "of the image\n",
		"etc/app/app.conf": "of the image\n",
	})
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = v1.Config{Cmd: []string{"/prog", "sleep"}, Env: []string{"PATH=/", "FROM_IMAGE=1"}}
	return mutate.ConfigFile(img, file)
}

func layerOf(files map[string]string) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, dir := range []string{"etc", "etc/app", "data", "tmp", "run"} {
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755})
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name]))})
		io.WriteString(w, files[name])
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
}

// load loads an image into the runtime's store.
func load(ctx context.Context, e *Engine, ref string, img v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, img, &archive); err != nil {
		return err
	}
	c := e.Daemon().Client()
	imported, err := c.Import(ctx, &archive)
	if err != nil {
		return err
	}
	for _, i := range imported {
		if err := client.NewImage(c, i).Unpack(ctx, e.Daemon().Snapshotter()); err != nil {
			return err
		}
	}
	// CRI sees a new image a moment later.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		_, found, err := e.imageStatus(ctx, ref)
		if err != nil || found {
			return err
		}
		if err := clock.Sleep(ctx, pollMin); err != nil {
			return err
		}
	}
}

// lines splits a command's output.
func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }
