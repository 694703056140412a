package connect

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// A plain go build embeds no agents. Servers then get the program itself if it can run
// on them.
func TestLoadPrograms(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", "static", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	static, dynamic := filepath.Join(dir, "static"), "/bin/sh"
	none := fstest.MapFS{"agents/README": {}}
	here, digest := machineOf[runtime.GOARCH], strings.Repeat("a", 64)
	own := fstest.MapFS{"agents/" + here + "-" + digest + "-5.gz": {}}
	other := fstest.MapFS{"agents/pdp11-" + digest + "-5.gz": {}}
	for _, c := range []struct {
		name     string
		agents   fstest.MapFS
		self     string
		machines []string
		missing  string // in the note for the user
		why      string // the error for a server of another machine
	}{
		{"agents", own, dynamic, []string{here}, "", "there are agents for Linux " + here},
		{"no agents, dynamic", none, dynamic, nil, "cannot be updated or captured; a release", "built without agents"},
		{"no agents, static", none, static, []string{here}, here + " servers get this program itself", "there are agents for Linux " + here},
		{"an agent for others", other, static, []string{"pdp11", here}, "", "there are agents for Linux pdp11, " + here},
	} {
		t.Run(c.name, func(t *testing.T) {
			ps, err := loadPrograms(c.agents, c.self)
			if err != nil {
				t.Fatal(err)
			}
			var machines []string
			for _, p := range ps {
				machines = append(machines, p.machine)
			}
			if got, want := strings.Join(machines, " "), strings.Join(c.machines, " "); got != want {
				t.Errorf("programs are for %q, want %q", got, want)
			}
			if got := ps.Missing(); (got == "") != (c.missing == "") || !strings.Contains(got, c.missing) {
				t.Errorf("Missing() = %q, want %q in it", got, c.missing)
			}
			if err := ps.notFor("Linux vax"); !strings.Contains(err.Error(), c.why) {
				t.Errorf("got %q, want %q in it", err, c.why)
			}
		})
	}
}

// Without an agent this program is sent as a whole.
func TestOwnProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ownProgram(self)
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := p.read()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, z); err != nil || n != p.size {
		t.Errorf("%d of %d bytes are sent: %v", n, p.size, err)
	}
}
