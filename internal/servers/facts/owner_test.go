package facts

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/test/disk"
)

// spec describes a package with a file, a configuration file and a link.
const spec = `Name: tiny
Version: %s
Release: 3
Epoch: 1
Summary: tiny
License: MIT
BuildArch: noarch
%%description
tiny
%%install
mkdir -p %%{buildroot}/opt/tiny %%{buildroot}/etc
echo hello >%%{buildroot}/opt/tiny/hello
echo a=b >%%{buildroot}/etc/tiny.conf
ln -s hello %%{buildroot}/opt/tiny/link
echo built >%%{buildroot}/opt/ghost
%%files
/opt/tiny
%%config /etc/tiny.conf
%%ghost /opt/ghost
`

// buildRPM builds a package whose files have digests of a kind: 1 is MD5, 8 is
// SHA-256, as RFC 4880 numbers them.
func buildRPM(t *testing.T, version string, kind int) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "tiny.spec")
	must(t, os.WriteFile(file, fmt.Appendf(nil, spec, version), 0o644))
	runIn(t, dir, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir, "--define",
		fmt.Sprintf("_binary_filedigest_algorithm %d", kind), file)
	return filepath.Join(dir, "RPMS/noarch/tiny-"+version+"-3.noarch.rpm")
}

func runIn(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// rpmRoot returns a root with packages in a database.
func rpmRoot(t *testing.T, packages ...string) (string, *rootfs.Root) {
	t.Helper()
	dir := t.TempDir()
	rpm := []string{"--root", dir, "--dbpath", "/var/lib/rpm"}
	runIn(t, dir, "rpm", append(slices.Clone(rpm), "--initdb")...)
	if len(packages) > 0 {
		runIn(t, dir, "rpm", append(append(rpm, "-i", "--oldpackage"), packages...)...)
	}
	return dir, disk.Open(t, dir)
}

// inRoot runs rpm as if the root were that of the machine.
func inRoot(dir string) runFunc {
	return func(ctx context.Context, argv []string, read func(io.Reader) error) error {
		return runLocal(ctx, slices.Insert(slices.Clone(argv), 1, "--root", dir), read)
	}
}

func TestRPM(t *testing.T) {
	for name, kind := range map[string]int{"MD5": 1, "SHA-256": 8} {
		t.Run(name, func(t *testing.T) {
			dir, root := rpmRoot(t, buildRPM(t, "1.2", kind))
			facts, unknowns := readRPM(t.Context(), rootFiles{root}, inRoot(dir))
			if diff := cmp.Diff(facts, []Fact{{Package, "tiny", "1:1.2-3"}}); diff != "" || len(unknowns) > 0 {
				t.Errorf("unknown: %v; got, want:\n%s", unknowns, diff)
			}
			o := &Owners{map[string]string{}, map[string]string{}}
			must(t, inRoot(dir)(t.Context(), rpmQuery("/var/lib/rpm", rpmFiles), o.addRPM))
			must(t, os.WriteFile(filepath.Join(dir, "etc/tiny.conf"), []byte("a=c\n"), 0o644))
			must(t, os.WriteFile(filepath.Join(dir, "opt/ghost"), []byte("written later\n"), 0o644))
			a := &agent{root: root, owners: o}
			got, err := a.ownersOf(t.Context(), []string{"/opt/tiny", "/opt/tiny/hello", "/opt/tiny/link", "/etc/tiny.conf", "/opt/ghost", "/etc/else"}, true)
			must(t, err)
			want := []Owner{{Package: "tiny"}, {Package: "tiny"}, {Package: "tiny"}, {Package: "tiny", Edited: true}, {Package: "tiny"}, {}}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The packages of a root that is not running, or of a machine without rpm, are unknown
// instead of none. A database without packages counts as none.
func TestRPMUnknown(t *testing.T) {
	_, root := rpmRoot(t, buildRPM(t, "1.2", 8))
	facts, unknowns := Facts(t.Context(), root, false)
	if len(values(facts, Package)) > 0 || len(unknowns) != 1 || unknowns[0].Section != Package || unknowns[0].Path != "/var/lib/rpm" {
		t.Errorf("at rest: got %v, %v", facts, unknowns)
	}
	none := func(context.Context, []string, func(io.Reader) error) error { return exec.ErrNotFound }
	if _, unknowns := readRPM(t.Context(), rootFiles{root}, none); len(unknowns) != 1 {
		t.Errorf("without rpm: got %v", unknowns)
	}
	_, blank := rpmRoot(t)
	if _, err := blank.Lstat("/var/lib/rpm/rpmdb.sqlite"); err != nil {
		t.Fatal(err)
	}
	for _, root := range []*rootfs.Root{blank, disk.Files{}.Root(t), disk.Files{"/var/lib/rpm/rpmdb.sqlite": ""}.Root(t)} {
		if _, unknowns := Facts(t.Context(), root, false); len(unknowns) > 0 {
			t.Errorf("without packages: got %v", unknowns)
		}
	}
	if dir := rpmDatabase(rootFiles{disk.Files{"/usr/lib/sysimage/rpm/rpmdb.sqlite": "short"}.Root(t)}); dir != "/usr/lib/sysimage/rpm" {
		t.Errorf("what is no database is none: got %q", dir)
	}
}

func TestRPMVersions(t *testing.T) {
	got := values(rpmFacts("bash\t0:5.2-1\tx86_64\nkernel\t0:6.1-2\tx86_64\nkernel\t0:6.1-1\tx86_64\n"+
		"glibc\t0:2.39-1\tx86_64\nglibc\t0:2.39-1\ti686\nopenssl\t1:3.0-1\tx86_64\nbroken\n\t\t\n"), Package)
	want := map[string]string{"bash": "5.2-1", "kernel": "6.1-1, 6.1-2", "glibc": "2.39-1.i686, 2.39-1.x86_64", "openssl": "1:3.0-1"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

// A file that ucf manages belongs to the package that registered it. Files of apk have
// their packages.
func TestOwners(t *testing.T) {
	root := disk.Files{
		"/etc/ssh/sshd_config":        "PermitRootLogin no\n",
		"/etc/kept":                   "kept\n",
		"/var/lib/ucf/registry":       "openssh-server \t /etc/ssh/sshd_config\nother \t /etc/kept\nweb \t /etc/web.conf\n",
		"/var/lib/ucf/hashfile":       "3ac8d32dd1ae07d0b2e0d1a1b3a5a2d7  /etc/ssh/sshd_config\n7d57f0bbc4a1fc4e9c0ac9c8a6a64ae3  /etc/nobody\nx  /etc/kept\n",
		"/var/lib/dpkg/info/web.list": "/etc/web.conf\n",
		"/lib/apk/db/installed": "P:musl\nV:1.2.5-r0\nF:lib\nR:ld-musl.so\na:0:0:755\nZ:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\n" +
			"F:etc\nR:broken\nZ:Q1!!\n\nP:busybox\nV:1.36-r2\nF:bin\nR:busybox\nZ:Q2AAAA\n",
		"/usr/lib/ld-musl.so": "hello",
	}.Root(t)
	o, err := ReadOwners(t.Context(), root, false)
	must(t, err)
	for file, want := range map[string]string{
		"/etc/ssh/sshd_config": "openssh-server", "/etc/kept": "other", "/etc/web.conf": "web", "/usr/lib/ld-musl.so": "musl",
		"/usr/bin/busybox": "busybox", "/etc/nobody": "",
	} {
		if got, _ := o.Of(file); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
	got, err := (&agent{root: root, owners: o}).ownersOf(t.Context(), []string{"/etc/ssh/sshd_config", "/etc/kept", "/usr/lib/ld-musl.so"}, true)
	must(t, err)
	want := []Owner{{"openssh-server", true}, {"other", false}, {"musl", true}}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if _, sum := o.Of("/usr/lib/ld-musl.so"); len(sum) != 40 {
		t.Errorf("got %q, want SHA-1", sum)
	}
}

func FuzzOwners(f *testing.F) {
	f.Add("P:a\nF:lib\nR:b\nZ:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "a \t /etc/a\n", "tiny\tx\t/etc/a\n")
	f.Fuzz(func(t *testing.T, apk, ucf, rpm string) {
		o := &Owners{map[string]string{}, map[string]string{}}
		o.addApk(strings.Split(apk, "\n"))
		o.addUcf(strings.Split(ucf, "\n"), strings.Split(ucf, "\n"))
		_ = o.addRPM(strings.NewReader(rpm)) // a line may be too long
		for _, fact := range rpmFacts(rpm) {
			if fact.Key == "" || fact.Value == "" {
				t.Errorf("got %+v", fact)
			}
		}
	})
}
