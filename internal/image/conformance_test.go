package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// The two tests here unpack random stacks of layers with containerd's own
// archive package onto a real file system, walk the result, and require that
// flattening has the same result: the same tree, or both refuse the image.

const randomStacks = 150

func TestFlattenAgreesWithContainerdOnOverlayfs(t *testing.T) {
	requireRoot(t)
	agree(t, FlattenOptions{}, func(t *testing.T, dir string, layers [][]byte) (tree.Tree, error) {
		var lower []string
		for i, layer := range layers {
			own := filepath.Join(dir, fmt.Sprint(i))
			if err := os.Mkdir(own, 0o755); err != nil {
				t.Fatal(err)
			}
			if _, err := archive.Apply(t.Context(), own, bytes.NewReader(layer),
				archive.WithConvertWhiteout(archive.OverlayConvertWhiteout), archive.WithParents(lower)); err != nil {
				return tree.Tree{}, err
			}
			lower = append([]string{own}, lower...)
		}
		layersAgree(t, layers, lower)
		return walkOverlay(t, dir, lower), nil
	})
}

// layersAgree requires that EachLayer describes the directories that containerd unpacked
// the layers to, the uppermost first.
func layersAgree(t *testing.T, layers [][]byte, lower []string) {
	t.Helper()
	err := EachLayer(t.Context(), imageOf(t, layers...), Limits{}, func(l Layer) error {
		root, err := rootfs.Open(lower[len(lower)-1-l.Index])
		if err != nil {
			return err
		}
		defer root.Close()
		want, unknown, err := root.Walk(t.Context(), rootfs.WalkOptions{Hash: true, OverlayXattrs: true})
		if err != nil || len(unknown) > 0 {
			return fmt.Errorf("%v, %w", unknown, err)
		}
		if diff := cmp.Diff(entries(l.Tree), entries(want), cmpopts.IgnoreFields(tree.Entry{}, "ModTime"), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("layer %d (- read, + unpacked):\n%s\n%s", l.Index, diff, describe(t, layers))
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrHostile) {
		t.Fatal(err)
	}
}

func TestFlattenAgreesWithContainerdOnCopies(t *testing.T) {
	requireRoot(t)
	agree(t, FlattenOptions{Copied: true}, func(t *testing.T, dir string, layers [][]byte) (tree.Tree, error) {
		root := filepath.Join(dir, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, layer := range layers {
			if _, err := archive.Apply(t.Context(), root, bytes.NewReader(layer)); err != nil {
				return tree.Tree{}, err
			}
		}
		return walkDir(t, root), nil
	})
}

func agree(t *testing.T, opts FlattenOptions, unpack func(*testing.T, string, [][]byte) (tree.Tree, error)) {
	seed := uint64(1)
	if s := os.Getenv("ADAMANT_TEST_SEED"); s == "random" {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	both, refused := 0, 0
	for i := range uint64(randomStacks) {
		r := rand.New(rand.NewPCG(seed, i))
		layers := randomLayers(t, r)
		own := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(own, 0o755); err != nil {
			t.Fatal(err)
		}
		want, wantErr := unpack(t, own, layers)
		got, _, err := Flatten(t.Context(), imageOf(t, layers...), opts)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("stack %d: flatten: %v; containerd: %v\n%s", i, err, wantErr, describe(t, layers))
		}
		if err != nil {
			if !errors.Is(err, ErrHostile) {
				t.Fatalf("stack %d: refused, but not as hostile: %v", i, err)
			}
			refused++
			continue
		}
		both++
		ignore := []string{"ModTime"}
		if !opts.Copied {
			ignore = append(ignore, "Link") // overlayfs does not keep hard links together
		}
		if diff := cmp.Diff(entries(got), entries(want), cmpopts.IgnoreFields(tree.Entry{}, ignore...)); diff != "" {
			t.Fatalf("stack %d (- flattened, + unpacked):\n%s\n%s", i, diff, describe(t, layers))
		}
	}
	t.Logf("%d stacks unpacked alike, %d refused by both", both, refused)
	if both < randomStacks/4 || refused == 0 {
		t.Fatal("the random stacks no longer test both")
	}
}

// randomLayers makes archives over a few names, so that they often meet.
func randomLayers(t *testing.T, r *rand.Rand) [][]byte {
	layers := make([][]byte, 1+r.IntN(4))
	for i := range layers {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		for range 1 + r.IntN(8) {
			h, content := randomEntry(r)
			h.Size = int64(len(content))
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layers[i] = buf.Bytes()
	}
	return layers
}

func randomEntry(r *rand.Rand) (*tar.Header, []byte) {
	h := &tar.Header{
		Format: tar.FormatPAX, Name: randomName(r), Uid: r.IntN(3), Gid: r.IntN(3),
		Mode: int64([]int{0o644, 0o755, 0o700, 0o4755, 0o1777}[r.IntN(5)]), ModTime: time.Unix(1e9, 0), PAXRecords: map[string]string{},
	}
	if r.IntN(6) == 0 {
		h.PAXRecords["SCHILY.xattr."+[]string{"user.x", "user.y", "security.x", "trusted.x", "nosuch.x"}[r.IntN(5)]] = fmt.Sprint(r.IntN(3))
	}
	var content []byte
	switch r.IntN(12) {
	case 0, 1, 2:
		h.Typeflag = tar.TypeReg
		content = bytes.Repeat([]byte{'x'}, r.IntN(3))
		if r.IntN(4) == 0 {
			h.PAXRecords["SCHILY.xattr."+tree.CapabilityXattr] = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		}
	case 3, 4, 5:
		h.Typeflag = tar.TypeDir
		h.Name = randomDir(r) + "/"
	case 6, 7:
		h.Typeflag = tar.TypeSymlink
		h.Linkname = []string{"", "/", "../", "./"}[r.IntN(4)] + []string{randomDir(r) + "/a", randomName(r)}[r.IntN(2)]
		if r.IntN(3) == 0 {
			h.Name = randomDir(r) + "/a"
		}
	case 8:
		h.Typeflag = tar.TypeLink
		h.Linkname = randomName(r)
	case 9:
		h.Typeflag = []byte{tar.TypeFifo, tar.TypeChar, tar.TypeBlock}[r.IntN(3)]
		if h.Typeflag != tar.TypeFifo {
			h.Devmajor, h.Devminor = int64(r.IntN(2)), int64(r.IntN(2)*300)
		}
	case 10:
		if r.IntN(2) == 0 {
			h.Name = randomDir(r) + "/b"
		}
		dir, base := filepath.Split(h.Name)
		h.Name, h.Typeflag = dir+".wh."+base, tar.TypeReg
	case 11:
		h.Name, h.Typeflag = filepath.Dir(h.Name)+"/.wh..wh..opq", tar.TypeReg
	}
	return h, content
}

// randomDir names a directory, mostly; randomName a file, mostly. Were they one,
// nearly every stack would be refused for leading through a file.
func randomDir(r *rand.Rand) string {
	parts := make([]string, r.IntN(3))
	for i := range parts {
		parts[i] = string(rune('a' + r.IntN(3)))
	}
	return strings.Join(parts, "/")
}

func randomName(r *rand.Rand) string {
	first := 'f'
	if r.IntN(8) == 0 {
		first = 'a'
	}
	return strings.TrimPrefix(randomDir(r)+"/"+string(first+rune(r.IntN(3))), "/")
}

func describe(t *testing.T, layers [][]byte) string {
	var b strings.Builder
	for i, layer := range layers {
		for r := tar.NewReader(bytes.NewReader(layer)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			fmt.Fprintf(&b, "%d %c %s -> %q %o %d:%d %d:%d %v\n", i, h.Typeflag, h.Name, h.Linkname, h.Mode, h.Uid, h.Gid, h.Devmajor, h.Devminor, h.PAXRecords)
		}
	}
	return b.String()
}

func imageOf(t testing.TB, archives ...[]byte) v1.Image {
	t.Helper()
	layers := make([]v1.Layer, len(archives))
	for i, a := range archives {
		layers[i] = LayerFromBytes(a)
	}
	img, err := New(Config{}, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func entries(t tree.Tree) []tree.Entry {
	var all []tree.Entry
	for e := range t.All() {
		all = append(all, e)
	}
	return all
}

func walkOverlay(t *testing.T, dir string, lower []string) tree.Tree {
	t.Helper()
	upper, work, merged := filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "merged")
	for _, d := range []string{upper, work, merged} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Fatalf("mount overlay: %v", err)
	}
	defer func() {
		if err := unix.Unmount(merged, 0); err != nil {
			t.Errorf("unmount overlay: %v", err)
		}
	}()
	return walkDir(t, merged)
}

func walkDir(t *testing.T, dir string) tree.Tree {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	got, unknown, err := root.Walk(context.Background(), rootfs.WalkOptions{Hash: true})
	if err != nil || len(unknown) > 0 {
		t.Fatalf("walk: %v, %v", unknown, err)
	}
	return got
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts and changes owners: run it as root")
	}
}
