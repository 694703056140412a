package observe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	first := trace.Trace{Container: "a", Root: "init", Complete: true, Weak: []string{"x"}, Accesses: []trace.Access{at(trace.Create, "f", errno("EROFS"), on("/desk"))}}
	second := trace.Trace{Container: "a", Root: "exec", Accesses: []trace.Access{}}
	must(t, save(filepath.Join(dir, "1.json"), second, false))
	must(t, save(filepath.Join(dir, "1.json"), first, true))
	must(t, save(filepath.Join(dir, "2.json"), second, false))
	must(t, os.WriteFile(filepath.Join(dir, ".3.json.tmp"), []byte("{"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o600))
	got, err := Load(dir)
	must(t, err)
	if diff := cmp.Diff(got, []trace.Trace{first, second}); diff != "" {
		t.Error(diff)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".1*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", ``, "EOF"},
		{"cut off", `{"container":"a","root":"init","acc`, "EOF"},
		{"two documents", `{"root":"init"}{"root":"init"}`, "after the trace"},
		{"unknown field", `{"root":"init","more":1}`, "unknown field"},
		{"unknown root", `{"root":"other"}`, "root"},
		{"unknown operation", `{"root":"init","accesses":[{"op":"eat","path":"/a","count":1}]}`, "eat"},
		{"relative path", `{"root":"init","accesses":[{"op":"create","path":"a","count":1}]}`, "absolute"},
		{"climbing path", `{"root":"init","accesses":[{"op":"create","path":"/a/../b","count":1}]}`, "clean"},
		{"climbing mount", `{"root":"init","accesses":[{"op":"create","path":"/a","mount":"..","count":1}]}`, "mount"},
		{"no count", `{"root":"init","accesses":[{"op":"create","path":"/a"}]}`, "count"},
		{"odd errno", `{"root":"init","accesses":[{"op":"create","path":"/a","count":1,"errno":"\u001b["}]}`, "errno"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "x.json"), []byte(c.text), 0o600))
			_, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "x.json") {
				t.Errorf("got %v, want %q and the file's name", err, c.want)
			}
		})
	}
	t.Run("link", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "x.json")))
		if _, err := Load(dir); err == nil {
			t.Error("followed a link")
		}
	})
	t.Run("pipe", func(t *testing.T) {
		dir := t.TempDir()
		must(t, unix.Mkfifo(filepath.Join(dir, "x.json"), 0o600))
		if _, err := Load(dir); err == nil {
			t.Error("read a pipe")
		}
	})
	t.Run("missing directory", func(t *testing.T) {
		if _, err := Load("/nonexistent"); err == nil {
			t.Error("no error")
		}
	})
}

// FuzzTrace checks that an accepted trace is encoded unchanged and can be
// merged.
func FuzzTrace(f *testing.F) {
	f.Add([]byte(`{"container":"a","root":"init","complete":true,"weak":["x"],"accesses":[{"op":"create","path":"/a","uid":1,"count":1}]}`))
	f.Add([]byte(`{"root":"exec","accesses":[{"op":"create","path":"/a/*","mount":"/a","errno":"EROFS","count":9,"bytes":3}]}`))
	f.Add([]byte(`{"root":"init"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := trace.Parse(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(got)
		must(t, err)
		again, err := trace.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(again, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		Merge([]trace.Trace{got, again})
	})
}

func FuzzMountPoints(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw\n"))
	f.Add([]byte("1 2\n\\\n36 35 98:0 / /a\\9"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, p := range mountPoints(data) {
			if p == "" {
				t.Error("an empty mount point")
			}
		}
	})
}

func TestMountPoints(t *testing.T) {
	got := mountPoints([]byte("36 35 98:0 /mnt1 /a\\040b\\134c rw - ext3 /dev/root rw\n37 36 0:1 / /proc rw - proc proc rw\nbroken\n"))
	if diff := cmp.Diff(got, map[uint64]string{36: `/a b\c`, 37: "/proc"}); diff != "" {
		t.Error(diff)
	}
}

func TestUserMap(t *testing.T) {
	m := parseUserMap([]byte("         0     100000      65536\n     70000       5000          1\nodd\n"))
	for host, want := range map[uint32]uint32{100000: 0, 100033: 33, 165535: 65535, 165536: 65534, 5000: 70000, 0: 65534} {
		if got := m.inside(host); got != want {
			t.Errorf("user %d: got %d, want %d", host, got, want)
		}
	}
	whole := parseUserMap([]byte("         0          0 4294967295\n"))
	if got := whole.inside(1000); got != 1000 {
		t.Errorf("without a user namespace: got %d", got)
	}
}
