package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/test/tartest"
)

func reg(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Uname: content}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

func hard(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}
}

func directory(name string, mode int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}
}

// shown returns a short form of a tree with a line for each entry.
func shown(t tree.Tree) []string {
	var lines []string
	for e := range t.All() {
		switch e.Kind {
		case tree.Directory:
			lines = append(lines, fmt.Sprintf("%s %o", strings.TrimSuffix(e.Path, "/")+"/", e.Mode))
		case tree.Symlink:
			lines = append(lines, e.Path+" -> "+e.Target)
		default:
			lines = append(lines, fmt.Sprintf("%s %o %d", e.Path, e.Mode, e.Size))
		}
	}
	return lines
}

func TestFlatten(t *testing.T) {
	for _, tt := range []struct {
		name     string
		layers   [][]tar.Header
		want     []string // beside the root
		findings []string
	}{
		{"nothing", nil, nil, nil},
		{"implied parents", [][]tar.Header{{reg("a/b/c", "x")}}, []string{"/a/ 755", "/a/b/ 755", "/a/b/c 644 1"}, nil},
		{"names in other forms", [][]tar.Header{{reg("./a//b", "x"), reg("/c", ""), reg("d/../e", "")}}, []string{"/a/ 755", "/a/b 644 1", "/c 644 0", "/e 644 0"}, nil},
		{"the root's own entry", [][]tar.Header{{directory("./", 0o700)}}, nil, nil},
		{"file replaced", [][]tar.Header{{reg("a", "x")}, {reg("a", "yy")}}, []string{"/a 644 2"}, nil},
		{"directory listed again", [][]tar.Header{{directory("a", 0o700), reg("a/b", "")}, {directory("a", 0o711)}}, []string{"/a/ 711", "/a/b 644 0"}, nil},
		{"directory implied again", [][]tar.Header{{directory("a", 0o700), reg("a/b", "")}, {reg("a/c", "")}}, []string{"/a/ 700", "/a/b 644 0", "/a/c 644 0"}, nil},
		{"whiteout", [][]tar.Header{{reg("a/b", ""), reg("a/c", "")}, {reg("a/.wh.b", "")}}, []string{"/a/ 755", "/a/c 644 0"}, nil},
		{"whiteout of a directory", [][]tar.Header{{reg("a/b/c", "")}, {reg("a/.wh.b", "")}}, []string{"/a/ 755"}, nil},
		{"whiteout of nothing", [][]tar.Header{{reg("a/.wh.b", "")}}, []string{"/a/ 755"}, nil},
		{"whiteout, then again", [][]tar.Header{{reg("a", "x")}, {reg(".wh.a", "")}, {reg("a", "yy")}}, []string{"/a 644 2"}, nil},
		{"opaque", [][]tar.Header{{reg("a/b", ""), reg("c", "")}, {reg("a/new", ""), reg("a/.wh..wh..opq", "")}}, []string{"/a/ 755", "/a/new 644 0", "/c 644 0"}, nil},
		{"directory becomes a file", [][]tar.Header{{reg("a/b", "")}, {reg("a", "x")}}, []string{"/a 644 1"}, nil},
		{"file becomes a directory", [][]tar.Header{{reg("a", "")}, {directory("a", 0o755), reg("a/b", "")}}, []string{"/a/ 755", "/a/b 644 0"}, nil},
		{"links that lead out are only links", [][]tar.Header{{link("a", "/etc/passwd"), link("b", "../../..")}}, []string{"/a -> /etc/passwd", "/b -> ../../.."}, nil},
		{"hard link", [][]tar.Header{{reg("a", "x"), hard("b/c", "a")}}, []string{"/a 644 1", "/b/ 755", "/b/c 644 1"}, nil},
		{
			"through a link of its own layer", [][]tar.Header{{directory("run", 0o755), link("var/run", "/run"), reg("var/run/pid", "")}},
			[]string{"/run/ 755", "/run/pid 644 0", "/var/ 755", "/var/run -> /run"},
			[]string{"layer 0: /var/run/pid is unpacked as /run/pid, through a symbolic link"},
		},
		{
			"through a link of a layer below", [][]tar.Header{{directory("run", 0o755), link("var/run", "/nowhere")}, {reg("var/run/pid", "")}},
			[]string{"/run/ 755", "/var/ 755", "/var/run/ 755", "/var/run/pid 644 0"},
			[]string{"layer 1: /var/run is a symbolic link in a layer below and becomes a directory, because this layer has files in it"},
		},
		{
			"file below an implied directory", [][]tar.Header{{reg("a", "")}, {reg("a/b", "")}},
			[]string{"/a/ 755", "/a/b 644 0"},
			[]string{"layer 1: /a is a regular file in a layer below and becomes a directory, because this layer has files in it"},
		},
		{
			"device 0:0", [][]tar.Header{{reg("a", "")}, {{Typeflag: tar.TypeChar, Name: "a"}}}, nil,
			[]string{"layer 1: /a is a device 0:0, which deletes the file below"},
		},
		{
			"trusted attribute", [][]tar.Header{{{Typeflag: tar.TypeReg, Name: "a", PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y"}}}},
			[]string{"/a 0 0"}, []string{"layer 0: /a extended attribute trusted.overlay.opaque is not set by a runtime"},
		},
		{"long names", [][]tar.Header{{reg(strings.Repeat("a/", 100)+strings.Repeat("n", 255), "")}}, longNames(), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var archives [][]byte
			for _, headers := range tt.layers {
				archives = append(archives, tartest.Write(t, headers...))
			}
			got, findings, err := Flatten(t.Context(), imageOf(t, archives...), FlattenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(shown(got), append([]string{"/ 755"}, tt.want...)); diff != "" {
				t.Errorf("tree (- got, + want):\n%s", diff)
			}
			var texts []string
			for _, f := range findings {
				texts = append(texts, f.String())
			}
			if diff := cmp.Diff(texts, tt.findings); diff != "" {
				t.Errorf("findings (- got, + want):\n%s", diff)
			}
		})
	}
}

func longNames() []string {
	var want []string
	for i := range 100 {
		want = append(want, strings.Repeat("/a", i+1)+"/ 755")
	}
	return append(want, strings.Repeat("/a", 100)+"/"+strings.Repeat("n", 255)+" 644 0")
}

func TestFlattenRefuses(t *testing.T) {
	deep := strings.Repeat("d/", 100)
	many := make([]tar.Header, 20)
	for i := range many {
		many[i] = reg(fmt.Sprint(i), "")
	}
	for _, tt := range []struct {
		name    string
		headers []tar.Header
		entry   string // named in the error
		want    string
	}{
		{"climbing name", []tar.Header{reg("../x", "")}, "../x", "leads out of the root"},
		{"hidden climbing", []tar.Header{reg("a/../../x", "")}, "a/../../x", "leads out of the root"},
		{"hard link out", []tar.Header{hard("x", "../../etc/shadow")}, "x", "leads out of the root"},
		{"hard link to nothing", []tar.Header{hard("x", "etc/shadow")}, "/x", "does not exist"},
		{"hard link to a directory", []tar.Header{directory("d", 0o755), hard("x", "d")}, "/x", "is a directory"},
		{"below a file", []tar.Header{reg("a", ""), reg("a/b", "")}, "/a/b", "not a directory"},
		{"loop of links", []tar.Header{link("a", "b"), link("b", "a"), reg("a/x", "")}, "/a/x", "too many symbolic links"},
		{"link without a target", []tar.Header{link("a", "")}, "a", "symbolic link to"},
		{"whiteout of nothing", []tar.Header{reg("d/.wh.", "")}, "/d/.wh.", "a whiteout of nothing"},
		{"whiteout of the parent", []tar.Header{reg("d/.wh...", "")}, "/d/.wh...", "a whiteout of nothing"},
		{"whiteout of its own file", []tar.Header{reg("a", ""), reg(".wh.a", "")}, "/.wh.a", "same layer"},
		{"long name", []tar.Header{reg(strings.Repeat("n", 256), "")}, "n", "a name of 256 bytes"},
		{"long path", []tar.Header{reg(strings.Repeat("0123456789/", 500)+"x", "")}, "0", "bytes of a path"},
		{"deep path", []tar.Header{reg(deep+"x", "")}, deep + "x", "depth of a path"},
		{"device out of range", []tar.Header{{Typeflag: tar.TypeChar, Name: "a", Devmajor: 1 << 12}}, "a", "device 4096:0"},
		{"type that is not known", []tar.Header{{Typeflag: tar.TypeCont, Name: "a"}}, "a", `type '7'`},
		{"too many entries", many, "10", "beyond the limit of 10 for entries"},
		{"too many bytes", []tar.Header{reg("a", strings.Repeat("x", 90)), reg("b", strings.Repeat("x", 20))}, "b", "beyond the limit of 100 for bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img := imageOf(t, tartest.Write(t), tartest.Write(t, tt.headers...))
			_, _, err := Flatten(t.Context(), img, FlattenOptions{Limits: Limits{Entries: 10, Bytes: 100, Depth: 99}})
			var layer *LayerError
			var limit *LimitError
			if !errors.As(err, &layer) || !errors.Is(err, ErrHostile) && !errors.As(err, &limit) {
				t.Fatalf("got %v", err)
			}
			layers, layersErr := img.Layers()
			if layersErr != nil {
				t.Fatal(layersErr)
			}
			if digest, _ := layers[1].Digest(); layer.Layer != 1 || layer.Digest != digest.String() {
				t.Errorf("layer %d, %s", layer.Layer, layer.Digest)
			}
			if text := err.Error(); !strings.Contains(text, tt.want) || !strings.Contains(text, `entry "`+tt.entry) {
				t.Errorf("got %v, want entry %q and %s", err, tt.entry, tt.want)
			}
		})
	}
	t.Run("too many layers", func(t *testing.T) {
		_, _, err := Flatten(t.Context(), imageOf(t, tartest.Write(t), tartest.Write(t)), FlattenOptions{Limits: Limits{Layers: 1}})
		if err == nil || !strings.Contains(err.Error(), "beyond the limit of 1 for layers") {
			t.Error(err)
		}
	})
}

// A decompression bomb is refused after the grace, long before its end.
func TestFlattenBomb(t *testing.T) {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	bomb := gzipped(t, plain.Bytes())
	in := &inflater{compressed: &counter{src: bytes.NewReader(bomb)}, ratio: 200, ratioGrace: 1 << 20}
	inflated, _, err := decompress(in.compressed)
	if err != nil {
		t.Fatal(err)
	}
	defer inflated.Close()
	in.src = inflated
	n, err := io.Copy(io.Discard, in)
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Limit != "compression ratio" || n > 32<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	_, _, err = Flatten(t.Context(), imageOf(t, bomb), FlattenOptions{Limits: Limits{Bytes: 1 << 20}})
	if !errors.As(err, &limit) || limit.Limit != "bytes" {
		t.Errorf("beyond the bytes: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Refusing a huge sparse file in PAX format must not cost more than creating it.
func TestFlattenSparse(t *testing.T) {
	const size = int64(1) << 60
	sparseMap := "1\n0\n0\n" + strings.Repeat("\x00", 512-6)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	h := reg("GNUSparseFile.0/huge", sparseMap)
	h.Uname, h.Size = "", int64(len(sparseMap))
	h.PAXRecords = map[string]string{}
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(sparseMap)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	archive := withPAX(t, b.Bytes(), "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=huge", fmt.Sprintf("GNU.sparse.realsize=%d", size))
	_, _, err := Flatten(t.Context(), imageOf(t, archive), FlattenOptions{})
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Limit != "bytes" {
		t.Errorf("got %v", err)
	}
}

// withPAX puts an extended header, which the standard library would not write,
// before an archive.
func withPAX(t testing.TB, archive []byte, records ...string) []byte {
	t.Helper()
	var body strings.Builder
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n++
		}
		fmt.Fprintf(&body, "%d %s\n", n, r)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "PaxHeaders.0/huge", Size: int64(body.Len())}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(body.String())); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	header := b.Bytes()
	header[156] = 'x'
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", checksum(header[:512])))
	return append(header, archive...)
}

func checksum(header []byte) int {
	sum := 0
	for i, c := range header {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	return sum
}

// The layers must match the manifest and the configuration.
func TestFlattenDigests(t *testing.T) {
	img := webImage(t)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.RootFS.DiffIDs[0], config.RootFS.DiffIDs[1] = config.RootFS.DiffIDs[1], config.RootFS.DiffIDs[0]
	swapped, err := mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Flatten(t.Context(), promised{swapped, config}, FlattenOptions{}); !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), "diff id") {
		t.Errorf("swapped diff ids: %v", err)
	}
	config.RootFS.DiffIDs = config.RootFS.DiffIDs[:1]
	if _, _, err := Flatten(t.Context(), promised{img, config}, FlattenOptions{}); !errors.Is(err, ErrDigest) {
		t.Errorf("missing diff id: %v", err)
	}
}

// promised returns an image with another configuration.
type promised struct {
	v1.Image
	config *v1.ConfigFile
}

func (p promised) ConfigFile() (*v1.ConfigFile, error) { return p.config, nil }

func TestFlattenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Flatten(ctx, webImage(t), FlattenOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestReadFiles(t *testing.T) {
	img := imageOf(t,
		tartest.Write(t, reg("etc/passwd", "old"), link("lib", "usr/lib"), reg("usr/lib/os-release", "debian"), hard("hard", "usr/lib/os-release"), link("etc/os-release", "../lib/os-release")),
		tartest.Write(t, reg("etc/passwd", "new"), reg("gone", "x")),
		tartest.Write(t, reg(".wh.gone", "")))
	got, err := ReadFiles(t.Context(), img, "/etc/passwd", "/etc/os-release", "/hard", "/gone", "/missing")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{"/etc/passwd": []byte("new"), "/etc/os-release": []byte("debian"), "/hard": []byte("debian")}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadFiles(t.Context(), img, "/usr"); !errors.Is(err, rootfs.ErrNotRegular) {
		t.Errorf("a directory: %v", err)
	}
}

func FuzzFlatten(f *testing.F) {
	f.Add(tartest.Write(f, reg("a/b", "x"), hard("c", "a/b"), link("d", "a"), reg("d/e", "y")), tartest.Write(f, reg("a/.wh.b", ""), reg("d/.wh..wh..opq", "")))
	f.Add(gzipped(f, tartest.Write(f, directory("a", 0o1777))), zstded(f, tartest.Write(f, reg("a/b", ""))))
	f.Add([]byte("no archive"), []byte{})
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		if len(lower)+len(upper) > 1<<20 {
			return
		}
		layers := make([]v1.Layer, 2)
		for i, archive := range [][]byte{lower, upper} {
			layers[i] = LayerFromBytes(archive)
			if _, err := layers[i].DiffID(); err != nil {
				return // not even an image can be made of it
			}
		}
		img, err := New(Config{}, layers...)
		if err != nil {
			return
		}
		limits := Limits{Entries: 200, Bytes: 1 << 22}
		for _, copied := range []bool{false, true} {
			got, _, err := Flatten(t.Context(), img, FlattenOptions{Limits: limits, Copied: copied})
			if err != nil {
				continue
			}
			if root, ok := got.Lookup("/"); !ok || root.Kind != tree.Directory {
				t.Error("no root")
			}
			var text bytes.Buffer
			if _, err := got.WriteTo(&text); err != nil {
				t.Fatal(err)
			}
			if again, err := tree.Parse(&text); err != nil || again.Digest() != got.Digest() {
				t.Errorf("not a tree that can be written and read: %v", err)
			}
		}
	})
}

func BenchmarkFlatten(b *testing.B) {
	files := map[string]string{}
	content := strings.Repeat("some text that can be compressed ", 128)
	for i := range 10_000 {
		files[fmt.Sprintf("/usr/share/%d/%d", i%100, i)] = fmt.Sprint(i, content)
	}
	layer, err := NewLayer(Files(files)...)
	if err != nil {
		b.Fatal(err)
	}
	plain := contentOf(b, layer)
	for name, archive := range map[string][]byte{"plain": plain, "gzip": gzipped(b, plain), "zstd": zstded(b, plain)} {
		img := imageOf(b, archive)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				if _, _, err := Flatten(b.Context(), img, FlattenOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
