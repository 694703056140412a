package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/test/tartest"
)

// A tree that is archived and extracted is unchanged.
func TestArchiveAndExtract(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	populate(t, src)
	modTime := time.Unix(1e9, 5)
	must(t, os.Chtimes(src+"/d", modTime, modTime))
	var archive bytes.Buffer
	unknown, err := root(t, src).Archive(t.Context(), &archive, "/", ".")
	must(t, err)
	if len(unknown) != 1 || unknown[0].Path != "/s" || !errors.Is(unknown[0].Err, ErrSocket) {
		t.Errorf("unknown: %v", unknown)
	}
	r := root(t, dst)
	must(t, r.Extract(t.Context(), &archive, "/in/here", ExtractOptions{Devices: true}))
	got, _ := walk(t, root(t, dst+"/in/here"), WalkOptions{Hash: true})
	if diff := cmp.Diff(entries(got), populated[:len(populated)-1], ignoreTime); diff != "" {
		t.Errorf("(- got, + want):\n%s", diff)
	}
	if e, _ := got.Lookup("/d"); !e.ModTime.Equal(modTime) {
		t.Errorf("time of the directory: %v", e.ModTime)
	}
}

func TestExtractForOwner(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	archive := tartest.Write(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "a/su", Mode: 0o6755, Uname: "x", PAXRecords: map[string]string{
			XattrRecord + tree.CapabilityXattr: "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", XattrRecord + "user.x": "1",
		}})
	must(t, root(t, dir).Extract(t.Context(), bytes.NewReader(archive), "/", ExtractOptions{Owner: &Owner{5, 6}}))
	got, _ := walk(t, root(t, dir), WalkOptions{Path: "/a"})
	want := []tree.Entry{
		{Path: "/a", Kind: tree.Directory, Mode: 0o755, UID: 5, GID: 6},
		{Path: "/a/su", Kind: tree.Regular, Mode: 0o755, UID: 5, GID: 6, Size: 1, Xattrs: map[string]string{"user.x": "1"}},
	}
	if diff := cmp.Diff(entries(got), want, ignoreTime); diff != "" {
		t.Error(diff)
	}
}

func TestExtractReplaces(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(outside+"/victim", []byte("safe"), 0o600))
	must(t, os.Symlink(outside+"/victim", dir+"/link"))
	must(t, os.Link(outside+"/victim", dir+"/hard"))
	must(t, os.Mkdir(dir+"/kept", 0o700))
	must(t, os.WriteFile(dir+"/kept/inside", nil, 0o600))
	archive := tartest.Write(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "link", Mode: 0o644, Uname: "new"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./hard", Mode: 0o644, Uname: "new"},
		tar.Header{Typeflag: tar.TypeDir, Name: "kept/", Mode: 0o711},
		tar.Header{Typeflag: tar.TypeLink, Name: "kept/again", Linkname: "hard"})
	must(t, root(t, dir).Extract(t.Context(), bytes.NewReader(archive), "/", ExtractOptions{}))
	if content, err := os.ReadFile(outside + "/victim"); string(content) != "safe" {
		t.Errorf("written through a link: %q %v", content, err)
	}
	got, _ := walk(t, root(t, dir), WalkOptions{})
	if diff := cmp.Diff(paths(got.All()), []string{"/", "/hard", "/kept", "/kept/again", "/kept/inside", "/link"}); diff != "" {
		t.Error(diff)
	}
	if e, _ := got.Lookup("/kept/again"); e.Link != "/hard" {
		t.Errorf("not linked: %+v", e)
	}
}

func TestExtractRefuses(t *testing.T) {
	requireRoot(t)
	for _, tt := range []struct {
		name    string
		headers []tar.Header
		want    error
	}{
		{"climbing name", []tar.Header{{Typeflag: tar.TypeReg, Name: "../x"}}, ErrRefused},
		{"hidden climbing", []tar.Header{{Typeflag: tar.TypeReg, Name: "a/../../x"}}, ErrRefused},
		{"absolute name", []tar.Header{{Typeflag: tar.TypeReg, Name: "/x"}}, ErrRefused},
		{"through its own link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/"}, {Typeflag: tar.TypeReg, Name: "l/x"}}, ErrThroughLink},
		{"through a link that was there", []tar.Header{{Typeflag: tar.TypeReg, Name: "out/x"}}, ErrThroughLink},
		{"directory over a link", []tar.Header{{Typeflag: tar.TypeDir, Name: "out"}}, unix.ENOTDIR},
		{"file over a directory", []tar.Header{{Typeflag: tar.TypeReg, Name: "dir"}}, unix.EISDIR},
		{"hard link out", []tar.Header{{Typeflag: tar.TypeLink, Name: "x", Linkname: "../secret"}}, ErrRefused},
		{"hard link to what was there", []tar.Header{{Typeflag: tar.TypeLink, Name: "x", Linkname: "file"}}, ErrRefused},
		{"hard link through a link", []tar.Header{{Typeflag: tar.TypeLink, Name: "x", Linkname: "out/file"}}, ErrRefused},
		{"device", []tar.Header{{Typeflag: tar.TypeBlock, Name: "x"}}, ErrRefused},
		{"unknown type", []tar.Header{{Typeflag: tar.TypeCont, Name: "x"}}, ErrRefused},
		{"too many", []tar.Header{{Typeflag: tar.TypeReg, Name: "1"}, {Typeflag: tar.TypeReg, Name: "2"}, {Typeflag: tar.TypeReg, Name: "3"}}, ErrTooMany},
		{"too much", []tar.Header{{Typeflag: tar.TypeReg, Name: "1", Uname: "0123456789abcdef"}}, tree.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			must(t, os.MkdirAll(top+"/dst/dir/full", 0o755))
			must(t, os.WriteFile(top+"/dst/file", nil, 0o600))
			must(t, os.WriteFile(top+"/secret", nil, 0o600))
			must(t, os.Symlink("/", top+"/dst/out"))
			before, _ := walk(t, root(t, top), WalkOptions{Skip: func(e tree.Entry) bool { return e.Path == "/dst" }})
			err := root(t, top).Extract(t.Context(), bytes.NewReader(tartest.Write(t, tt.headers...)), "/dst", ExtractOptions{MaxEntries: 2, MaxBytes: 10})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			after, _ := walk(t, root(t, top), WalkOptions{Skip: func(e tree.Entry) bool { return e.Path == "/dst" }})
			if diff := cmp.Diff(entries(after), entries(before)); diff != "" {
				t.Errorf("changed outside:\n%s", diff)
			}
			inside, _ := walk(t, root(t, top+"/dst"), WalkOptions{})
			for e := range inside.All() {
				if strings.Contains(e.Path, ".adamant-") {
					t.Errorf("left behind: %s", e.Path)
				}
			}
		})
	}
}

// While another process repeatedly replaces a directory by a symbolic link that leads
// out, no file outside is read or written.
func TestSwappedForLink(t *testing.T) {
	top := t.TempDir()
	must(t, os.MkdirAll(top+"/root/real/d", 0o755))
	must(t, os.WriteFile(top+"/root/real/d/file", []byte("inside"), 0o600))
	must(t, os.Mkdir(top+"/d", 0o755))
	must(t, os.WriteFile(top+"/d/file", []byte("outside"), 0o600))
	must(t, os.Symlink("../..", top+"/root/evil")) // leads to top, were it not for the root
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = unix.Renameat2(unix.AT_FDCWD, top+"/root/real", unix.AT_FDCWD, top+"/root/evil", unix.RENAME_EXCHANGE)
		}
	}()
	r := root(t, top+"/root")
	archive := tartest.Write(t, tar.Header{Typeflag: tar.TypeReg, Name: "d/new", Mode: 0o600, Uname: "x"})
	read := 0
	for range 2000 {
		if f, err := r.Open("/real/d/file"); err == nil {
			content, err := io.ReadAll(f)
			f.Close()
			if string(content) != "inside" {
				t.Fatalf("read %q, %v", content, err)
			}
			read++
		}
		_ = r.Extract(t.Context(), bytes.NewReader(archive), "/real", ExtractOptions{})
		_ = r.Remove("/real/d/file2")
	}
	stop()
	<-ended
	if read == 0 {
		t.Error("never read anything")
	}
	names, err := os.ReadDir(top + "/d")
	must(t, err)
	if len(names) != 1 {
		t.Errorf("outside there are now %v", names)
	}
}

func TestPutIsAtomic(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/f", []byte("old"), 0o600))
	r := root(t, dir)
	broken := io.MultiReader(strings.NewReader("new"), errorReader{})
	if err := r.Put(t.Context(), file("/f"), broken); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	names, err := os.ReadDir(dir)
	must(t, err)
	content, err := os.ReadFile(dir + "/f")
	if string(content) != "old" || len(names) != 1 {
		t.Errorf("%q, %v, %v", content, err, names)
	}
	must(t, r.Put(t.Context(), file("/f"), strings.NewReader("new")))
	must(t, r.Link("/f", "/g"))
	must(t, r.Remove("/f"))
	must(t, r.MkdirAll("/a/b"))
	must(t, r.Remove("/a/b"))
	got, _ := walk(t, r, WalkOptions{})
	if diff := cmp.Diff(paths(got.All()), []string{"/", "/a", "/g"}); diff != "" {
		t.Error(diff)
	}
	if target, err := r.Readlink("/g"); err == nil {
		t.Errorf("read link of a file: %q", target)
	}
}

var errBroken = errors.New("broken")

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errBroken }

func FuzzExtract(f *testing.F) {
	f.Add(tartest.Write(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Mode: 0o644, Uname: "x"}, tar.Header{Typeflag: tar.TypeLink, Name: "c", Linkname: "a/b"}))
	f.Add(tartest.Write(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../.."}, tar.Header{Typeflag: tar.TypeReg, Name: "l/x"}))
	f.Add(tartest.Write(f, tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o1777}, tar.Header{Typeflag: tar.TypeFifo, Name: "d/p"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		top := t.TempDir()
		must(t, os.Mkdir(top+"/dst", 0o755))
		r := root(t, top)
		_ = r.Extract(t.Context(), bytes.NewReader(archive), "/dst", ExtractOptions{MaxEntries: 50, MaxBytes: 1 << 20})
		outside, _ := walk(t, r, WalkOptions{Skip: func(e tree.Entry) bool { return e.Path == "/dst" }})
		if outside.Len() != 1 {
			t.Errorf("outside there are now %v", paths(outside.All()))
		}
		if _, _, err := r.Walk(t.Context(), WalkOptions{Hash: true}); err != nil {
			t.Error(err)
		}
	})
}
