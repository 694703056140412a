package copyup

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// must fails the test on the first error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// writeFile writes a file and its parent directories.
func writeFile(t *testing.T, name, content string, mode uint32) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o600), unix.Chmod(name, mode))
}

// capNetBind is a security.capability attribute: cap_net_bind_service=ep.
var capNetBind = []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// newImage creates an image root with one entry of each type in /data.
func newImage(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	d := root + "/data"
	writeFile(t, d+"/plain", "plain\n", 0o644)
	writeFile(t, d+"/empty", "", 0o444)
	writeFile(t, d+"/secret", "secret\n", 0o600)
	writeFile(t, d+"/setuid", "x", 0o4755)
	writeFile(t, d+"/setgid", "x", 0o2755)
	writeFile(t, d+"/able", "x", 0o755)
	writeFile(t, d+"/sub/deep/er/file", strings.Repeat("deep", 100_000), 0o640)
	writeFile(t, d+"/\xff odd ?%\nname", "odd", 0o644)
	must(t,
		os.Chown(d+"/secret", 999, 998),
		os.Chown(d+"/setuid", 999, 0),
		unix.Chmod(d+"/setuid", 0o4755),
		unix.Setxattr(d+"/able", "security.capability", capNetBind, 0),
		unix.Setxattr(d+"/plain", "user.note", []byte("kept"), 0),
		os.Link(d+"/plain", d+"/sub/again"),
		os.Link(d+"/plain", d+"/a-first"),
		os.Symlink("/etc/passwd", d+"/absolute"),
		os.Symlink("../../../../../etc", d+"/sub/outwards"),
		os.Symlink("nowhere", d+"/dangling"),
		os.Lchown(d+"/dangling", 5, 6),
		unix.Mkfifo(d+"/fifo", 0o620),
		unix.Mknod(d+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		os.Mkdir(d+"/closed", 0o755),
		os.Mkdir(d+"/shared", 0o755),
	)
	writeFile(t, d+"/closed/in", "x", 0o400)
	must(t,
		os.Chown(d+"/closed", 999, 999),
		unix.Chmod(d+"/closed", 0o500),
		os.Chown(d+"/shared", 0, 998),
		unix.Chmod(d+"/shared", 0o3775),
		unix.Chmod(d, 0o2750),
		os.Chown(d, 999, 998),
	)
	sparse(t, d+"/sparse")
	old := time.Unix(1_600_000_000, 123_456_789)
	must(t, os.Chtimes(d+"/plain", old, old), os.Chtimes(d+"/sub", old, old), os.Chtimes(d, old, old))
	return root
}

// sparse creates a file of 64 GiB with a few bytes of data.
func sparse(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte("here"), 1<<33)
	must(t, err, f.Truncate(64<<30), f.Close())
}

// newVolumes creates the directory that volumes are mounted in, with one volume
// for each path, as a kubelet does.
func newVolumes(t *testing.T, paths ...string) string {
	t.Helper()
	return newVolumesIn(t, t.TempDir(), paths...)
}

func newVolumesIn(t *testing.T, to string, paths ...string) string {
	t.Helper()
	for _, p := range paths {
		must(t, os.MkdirAll(to+p, 0o755), unix.Chmod(to+p, 0o777))
	}
	return to
}

// walk returns the entries of a directory, without those properties that cannot
// be equal: the attribute of a complete volume, and the digest of a sparse
// file.
func walk(t *testing.T, dir string) map[string]tree.Entry {
	t.Helper()
	root, err := rootfs.Open(dir)
	must(t, err)
	defer root.Close()
	found, unknown, err := root.Walk(context.Background(), rootfs.WalkOptions{Hash: true, MaxFileSize: 1 << 30})
	must(t, err)
	entries := map[string]tree.Entry{}
	for _, u := range unknown {
		if !strings.HasSuffix(u.Path, "/sparse") {
			t.Fatalf("%s: %v", u.Path, u.Err)
		}
	}
	for e := range found.All() {
		if delete(e.Xattrs, complete); len(e.Xattrs) == 0 {
			e.Xattrs = nil
		}
		entries[e.Path] = e
	}
	return entries
}

// sameTree fails the test unless two directories are equal in everything,
// modification times included.
func sameTree(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(walk(t, got), walk(t, want)); diff != "" {
		t.Errorf("%s differs from %s (-got +want):\n%s", got, want, diff)
	}
}

// run fills volumes in this process and returns the warnings.
func run(t *testing.T, opts Options) []string {
	t.Helper()
	var lines []string
	opts.Warn = func(line string) { lines = append(lines, line) }
	if err := Run(context.Background(), opts); err != nil {
		t.Fatal(err)
	}
	return lines
}

// command returns a command that runs a job in another process, through a
// wrapper such as setpriv(1).
func command(t *testing.T, j job, wrapper ...string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(j)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	args := append(wrapper, self)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	return cmd
}

// finish runs a command and returns its exit code and output.
func finish(t *testing.T, cmd *exec.Cmd) (int, string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func targets(t *testing.T, args ...string) []Target {
	t.Helper()
	var out []Target
	for _, arg := range args {
		target, err := ParseTarget(arg)
		must(t, err)
		out = append(out, target)
	}
	return out
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func modeOf(t *testing.T, name string) string {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(name, &st))
	return fmt.Sprintf("%04o %d:%d", st.Mode&0o7777, st.Uid, st.Gid)
}

func parent(name string) string { return filepath.Dir(name) }

var unixEpoch = time.Unix(0, 0)
