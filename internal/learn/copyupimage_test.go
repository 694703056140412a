package learn

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/fstest"
)

// The copy-up image has a small static program for each architecture, which
// installs itself and copies.
func TestCopyUpImage(t *testing.T) {
	dir := t.TempDir()
	programs := fstest.MapFS{}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		file := filepath.Join(dir, arch)
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "github.com/adamant-sh/adamant/cmd/adamant-copy-up")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		program, err := elf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if program.Machine != machine || slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s: the program is for %s, or not static", arch, program.Machine)
		}
		program.Close()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 4<<20 {
			t.Errorf("%s: the program has %d bytes", arch, len(data))
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		programs["programs/"+arch+".gz"] = &fstest.MapFile{Data: b.Bytes()}
	}
	archive := filepath.Join(dir, "image.tar")
	img, err := writeCopyUpImage(t.Context(), programs, "registry.example/copy-up:v1", archive)
	if err != nil {
		t.Fatal(err)
	}
	if img.Reference != "registry.example/copy-up@"+img.Digest || !slices.Equal(img.Architectures, []string{"amd64", "arm64"}) {
		t.Errorf("got %+v", img)
	}
	if _, err := os.Stat(archive); err != nil {
		t.Error(err)
	}
	if _, err := writeCopyUpImage(t.Context(), fstest.MapFS{}, "x", archive); !errors.Is(err, ErrNoCopyUpProgram) {
		t.Errorf("got %v from a program without those of the image", err)
	}
	installAndCopy(t, filepath.Join(dir, runtime.GOARCH))
}

// installAndCopy runs the program as a sealed pod does.
func installAndCopy(t *testing.T, program string) {
	t.Helper()
	dir := t.TempDir()
	installed := filepath.Join(dir, "adamant")
	for name, content := range map[string]string{"image/srv/file": "of the image", "volumes/srv/.keep": ""} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if content == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{program, "copy-up", "--install", installed},
		{installed, "copy-up", "--from", filepath.Join(dir, "image"), "--to", filepath.Join(dir, "volumes"), "/srv"},
	} {
		if out, err := exec.CommandContext(context.Background(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "volumes/srv/file")); err != nil || string(got) != "of the image" {
		t.Errorf("%q, %v", got, err)
	}
}
