package observe

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain makes the test's executable act as the wrapper and the tracer, as
// the program does.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == RuntimeName {
		os.Exit(RuntimeMain(os.Args))
	}
	if os.Getuid() != 0 {
		os.Stderr.WriteString("these tests need root: they trace and mount\n")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// buildWriter builds the program that writes, without cgo so that it needs no
// files of its root.
func buildWriter(t *testing.T, arch string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "writer")
	build := exec.Command("go", "build", "-o", name, "./testdata/writer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if arch != "" {
		build.Env = append(build.Env, "GOARCH="+arch)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build writer: %v\n%s", err, out)
	}
	return name
}

// newRoot creates a root directory with the writer, a working directory with
// the files that the kinds of write expect, and the usual mount points.
func newRoot(t *testing.T, writer string) string {
	t.Helper()
	root := t.TempDir()
	for _, d := range []string{"bin", "dev", "proc", "sys", "tmp", "ro", "desk/sub", "desk/empty"} {
		must(t, os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	for _, d := range []string{root, filepath.Dir(root)} { // other users must get in
		must(t, os.Chmod(d, 0o755))
	}
	data, err := os.ReadFile(writer)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, "bin/writer"), data, 0o755))
	fillWork(t, filepath.Join(root, "desk"))
	return root
}

func fillWork(t *testing.T, work string) {
	t.Helper()
	for _, d := range []string{"sub", "empty"} {
		must(t, os.MkdirAll(filepath.Join(work, d), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(work, "old"), []byte("1234567"), 0o644))
	must(t, os.WriteFile(filepath.Join(work, "sub/in"), nil, 0o644))
	must(t, os.Symlink("old", filepath.Join(work, "link")))
	must(t, os.Symlink("sub", filepath.Join(work, "dirlink")))
	must(t, exec.Command("mkfifo", filepath.Join(work, "fifo")).Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
