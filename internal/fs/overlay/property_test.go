package overlay_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
)

// TestRandomChanges changes overlays at random, through several layers, and
// requires that the walk of the upper directory finds just what the comparison
// of both whole trees finds.
func TestRandomChanges(t *testing.T) {
	options := map[string]string{
		"plain":     ",redirect_dir=off,metacopy=off,index=off",
		"redirect":  ",redirect_dir=on",
		"metacopy":  ",redirect_dir=on,metacopy=on",
		"index":     ",index=on",
		"all":       ",redirect_dir=on,metacopy=on,index=on",
		"userxattr": ",userxattr",
	}
	for name, opts := range options {
		for _, onTmpfs := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tmpfs=%t", name, onTmpfs), func(t *testing.T) {
				for seed := range uint64(8) {
					testRandom(t, opts, onTmpfs, seed)
				}
			})
		}
	}
}

func testRandom(t *testing.T, options string, onTmpfs bool, seed uint64) {
	l := &lab{t: t, dir: t.TempDir(), options: options}
	if onTmpfs {
		must(t, unix.Mount("tmpfs", l.dir, "tmpfs", 0, ""))
		defer func() { must(t, unix.Unmount(l.dir, unix.MNT_DETACH)) }()
	}
	random := rand.New(rand.NewPCG(seed, 1))
	l.lower = []string{l.mkdir("lower0")}
	v := vandal{Rand: random, t: t, root: l.lower[0]}
	v.change(60)
	l.mount()
	defer l.unmount()
	v.root = l.merged
	for layer := range 3 {
		before := l.snapshot()
		v.change(5 + random.IntN(30))
		want := drift.Compare(before, l.snapshot(), drift.Options{})
		got := l.read(overlay.Options{})
		if diff := diffReports(got, want); diff != "" {
			t.Fatalf("seed %d, layer %d: -got +want\n%s", seed, layer, diff)
		}
		l.push(fmt.Sprint("pushed", layer))
	}
}

// A vandal changes a directory at random.
type vandal struct {
	*rand.Rand
	t    *testing.T
	root string
}

func (v vandal) change(times int) {
	v.t.Helper()
	acts := []func(string, fs.FileInfo) error{
		v.make, v.make, v.make, v.makeIn, v.makeIn, v.makeDir, v.makeDir, v.edit, v.rewrite, v.touch, v.chmod, v.chmodBack,
		v.chown, v.remove, v.remove, v.rename, v.rename, v.link, v.attribute, v.replace,
	}
	for range times {
		path, info := v.pick()
		if path == v.root { // whose upper directory the test made itself
			_ = v.make(path, info)
			continue
		}
		// The kernel refuses impossible operations (a rename into itself, a link to
		// a directory), which then change nothing.
		_ = acts[v.IntN(len(acts))](path, info)
	}
}

// pick returns any path below the root, or the root.
func (v vandal) pick() (string, fs.FileInfo) {
	var paths []string
	err := filepath.WalkDir(v.root, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	must(v.t, err)
	path := paths[v.IntN(len(paths))]
	info, err := os.Lstat(path)
	must(v.t, err)
	return path, info
}

// name returns a new or old name beside or below a path.
func (v vandal) name(path string, info fs.FileInfo) string {
	if !info.IsDir() {
		path = filepath.Dir(path)
	}
	return filepath.Join(path, []string{"a", "b", "c", "d", "e f", "g\\h", "ü", ".wh.x", "a-b", "\xff"}[v.IntN(10)])
}

func (v vandal) content() []byte {
	return []byte(fmt.Sprintf("content %d\n", v.IntN(30)))
}

func (v vandal) make(path string, info fs.FileInfo) error {
	name := v.name(path, info)
	switch v.IntN(7) {
	case 0:
		return os.Symlink([]string{"a", "/b", "../c"}[v.IntN(3)], name)
	case 1:
		return unix.Mkfifo(name, 0o600)
	case 2:
		return unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(1, uint32(3+v.IntN(3)))))
	}
	return v.create(name)
}

// create writes a file, but not through a link or into a FIFO.
func (v vandal) create(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(v.content())
	return err
}

func (v vandal) makeIn(path string, info fs.FileInfo) error {
	if !info.IsDir() {
		return nil
	}
	return v.make(path, info)
}

func (v vandal) makeDir(path string, info fs.FileInfo) error {
	return os.Mkdir(v.name(path, info), 0o755)
}

func (v vandal) edit(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(v.content())
	return err
}

// rewrite keeps the size and restores the time.
func (v vandal) rewrite(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{byte('0' + v.IntN(3))}, info.Size()-1); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// touch copies a file up and changes nothing.
func (v vandal) touch(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		now := []unix.Timespec{unix.NsecToTimespec(time.Now().UnixNano()), {Nsec: unix.UTIME_OMIT}}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, now, unix.AT_SYMLINK_NOFOLLOW)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func (v vandal) chmod(path string, info fs.FileInfo) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return os.Chmod(path, fs.FileMode(0o700+v.IntN(64)))
}

func (v vandal) chmodBack(path string, info fs.FileInfo) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return os.Chmod(path, info.Mode())
}

func (v vandal) chown(path string, _ fs.FileInfo) error { return os.Lchown(path, v.IntN(2), 0) }

func (v vandal) remove(path string, _ fs.FileInfo) error {
	return os.RemoveAll(path)
}

func (v vandal) rename(path string, _ fs.FileInfo) error {
	to, info := v.pick()
	return os.Rename(path, v.name(to, info))
}

func (v vandal) link(path string, _ fs.FileInfo) error {
	to, info := v.pick()
	return os.Link(path, v.name(to, info))
}

func (v vandal) attribute(path string, info fs.FileInfo) error {
	name, value := "user.a", "1"
	if info.Mode().IsRegular() && v.IntN(2) == 0 {
		name, value = "security.capability", "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	}
	return unix.Lsetxattr(path, name, []byte(value), 0)
}

// replace puts something else in a path's place.
func (v vandal) replace(path string, info fs.FileInfo) error {
	if err := v.remove(path, info); err != nil {
		return err
	}
	if v.IntN(2) == 0 {
		return v.create(path)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return v.create(filepath.Join(path, "a"))
}
