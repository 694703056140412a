package containerd

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func signalsOf(t *testing.T, pid int) (ignored, caught uint64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		fmt.Sscanf(line, "SigIgn: %x", &ignored)
		fmt.Sscanf(line, "SigCgt: %x", &caught)
	}
	return ignored, caught
}

func TestParseVersion(t *testing.T) {
	for _, c := range []struct {
		out          string
		major, minor int
	}{
		{"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", 1, 6},
		{"containerd github.com/containerd/containerd v2.4.2 ", 2, 4},
		{"containerd github.com/containerd/containerd/v2 2.4.2+unknown ", 2, 4},
		{"containerd containerd.io 1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da", 1, 7},
	} {
		got, err := parseVersion(c.out)
		if err != nil || got.Major != c.major || got.Minor != c.minor {
			t.Errorf("%q: got %+v, %v", c.out, got, err)
		}
	}
	if _, err := parseVersion("what"); err == nil {
		t.Error("read a version where there is none")
	}
}

func TestMissingProgramsAreNamedWithTheirMend(t *testing.T) {
	err := &MissingError{[]Missing{{"containerd", "apt-get install containerd"}, {"containerd-shim-runc-v2", "apt-get install containerd"}, {"runc", "apt-get install runc"}}}
	want := "missing: containerd, containerd-shim-runc-v2, runc (apt-get install containerd; apt-get install runc)"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// TestConfig compares the configuration for each release with a reviewed file.
// The other tests show that containerd accepts it.
func TestConfig(t *testing.T) {
	l, err := newLayout(`/var/lib/a "b" \c`, "/run/x")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []Version{{Major: 1, Minor: 6}, {Major: 2, Minor: 0}, {Major: 2, Minor: 4}} {
		s := settings{layout: l, snapshotter: "overlayfs", restrictOOM: v.Major == 2, systemd: v.Minor == 0}
		s.binaries = Binaries{Version: v, Runc: "/usr/bin/runc", CNI: "/usr/lib/cni"}
		want, err := os.ReadFile(fmt.Sprintf("testdata/config-%d.%d.toml", v.Major, v.Minor))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.toml(), string(want)); diff != "" {
			t.Errorf("for %d.%d (-got +want):\n%s", v.Major, v.Minor, diff)
		}
	}
}

func TestLayout(t *testing.T) {
	if _, err := newLayout("/none", "/none"); err == nil {
		t.Error("root and state may be the same")
	}
	if _, err := newLayout("/none", "/"+strings.Repeat("b", 90)); err == nil {
		t.Error("a state directory too long for a socket was taken")
	}
	l, err := newLayout("/none/b", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(l.bridge()) > 15 {
		t.Errorf("interface %s has too long a name", l.bridge())
	}
}

// TestLayoutThroughALink checks that paths have no symbolic links, as in the mount
// table.
func TestLayoutThroughALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	l, err := newLayout(dir+"/link/new/root", dir+"/link")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{l.root, l.state}, []string{dir + "/new/root", dir}); diff != "" {
		t.Error(diff)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if l, err := newLayout(dir+"/loop", ""); err == nil {
		t.Errorf("a loop of links was taken as %s", l.root)
	}
}

const routeTable = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
adm-x	0000C90A	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0001C90A	00000000	0001	0	0	0	00FFFFFF	0	0	0
`

func TestRoutes(t *testing.T) {
	got, err := parseRoutes(strings.NewReader(routeTable), "adm-x")
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, p := range got {
		text = append(text, p.String())
	}
	if diff := cmp.Diff(text, []string{"192.0.2.0/24", "10.201.1.0/24"}); diff != "" {
		t.Errorf("routes (-got +want):\n%s", diff)
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add(routeTable)
	f.Add("head\n\n")
	f.Add("head\na zz 0 0 0 0 0 00FFFFFF\n")
	f.Fuzz(func(t *testing.T, table string) {
		got, err := parseRoutes(strings.NewReader(table), "x")
		for _, p := range got {
			if err == nil && (!p.IsValid() || p.Bits() == 0) {
				t.Errorf("%q gives %v", table, p)
			}
		}
	})
}

func TestChooseSubnet(t *testing.T) {
	l, err := newLayout("", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, used, want string }{
		{"nothing in use", "", "10.201.0.0/24"},
		{"the first in use", "10.201.0.0/24", "10.201.1.0/24"},
		{"a wider network", "10.200.0.0/15", "10.203.0.0/24"},
		{"an address in it", "10.201.0.7/32", "10.201.1.0/24"},
		{"all in use", "10.0.0.0/8", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var used []netip.Prefix
			if c.used != "" {
				used = append(used, netip.MustParsePrefix(c.used))
			}
			got, err := chooseSubnet(l, used, func(netip.Prefix) error { return nil })
			if c.want == "" && err == nil || c.want != "" && got.String() != c.want {
				t.Errorf("got %v, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestChooseServices(t *testing.T) {
	for _, c := range []struct{ name, subnet, used, want string }{
		{"the first", "10.201.0.0/24", "192.0.2.0/24", "10.212.0.0/22"},
		{"another subnet", "10.201.151.0/24", "192.0.2.0/24", "10.214.92.0/22"},
		{"the last", "10.205.255.0/24", "192.0.2.0/24", "10.223.252.0/22"},
		{"in use", "10.201.0.0/24", "10.212.3.7/32", "10.216.0.0/22"},
		{"all in use", "10.201.0.0/24", "10.0.0.0/8", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := chooseServices(netip.MustParsePrefix(c.subnet), []netip.Prefix{netip.MustParsePrefix(c.used)})
			if c.want == "" && err == nil || c.want != "" && got.String() != c.want {
				t.Errorf("got %v, %v, want %q", got, err, c.want)
			}
		})
	}
	seen := map[netip.Prefix]bool{}
	for _, subnet := range candidates(0) {
		got, err := chooseServices(subnet, nil)
		if err != nil || seen[got] {
			t.Fatalf("%s: got %v, %v, which another subnet has", subnet, got, err)
		}
		seen[got] = true
	}
}

func TestSplitRule(t *testing.T) {
	got := splitRule(`-A POSTROUTING -s 10.201.0.2/32 -m comment --comment "name: \"adamant0\" id: \"ab\"" -j CNI-x`)
	want := []string{"-A", "POSTROUTING", "-s", "10.201.0.2/32", "-m", "comment", "--comment", `name: "adamant0" id: "ab"`, "-j", "CNI-x"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("words (-got +want):\n%s", diff)
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"nginx":                               "docker.io/library/nginx:latest",
		"example.com:5000/a/b:c":              "example.com:5000/a/b:c",
		"a@sha256:" + strings.Repeat("0", 64): "docker.io/library/a@sha256:" + strings.Repeat("0", 64),
	} {
		got, err := normalize(in)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
	if _, err := normalize("../x"); err == nil {
		t.Error("../x is taken for an image")
	}
}

func TestTrimLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := errors.Join(trimLog(path), os.WriteFile(path, append(make([]byte, maxLog), "the end"...), 0o600), trimLog(path)); err != nil {
		t.Fatal(err)
	}
	now, err1 := os.Stat(path)
	kept, err2 := os.ReadFile(path + ".1")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if now.Size() != 0 || len(kept) != keepLog || !strings.HasSuffix(string(kept), "the end") {
		t.Errorf("log has %d bytes, %d are kept", now.Size(), len(kept))
	}
}
