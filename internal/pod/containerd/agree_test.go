package containerd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/adamant-sh/adamant/internal/image"
)

// TestLoadAgreesWithReading reads archives in both ways: like `adamant load`,
// which imports them, and like `drift --root --image`, which opens and flattens
// them. Both must accept or refuse the same archives.
func TestLoadAgreesWithReading(t *testing.T) {
	d, _ := startTest(t)
	for _, tt := range archives() {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "archive.tar")
			if err := os.WriteFile(path, tt.bytes(t), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, loadErr := d.Import(t.Context(), path, ImportOptions{})
			for _, img := range loaded {
				if err := d.RemoveImage(t.Context(), img.ID.String()); err != nil {
					t.Error(err)
				}
			}
			readErr := readAll(t, path, d.snapshotter != "overlayfs")
			for way, err := range map[string]error{"load": loadErr, "read": readErr} {
				switch {
				case tt.refused == "" && err != nil:
					t.Errorf("%s: %v, want no error", way, err)
				case tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)):
					t.Errorf("%s: %v, want an error with %q", way, err, tt.refused)
				}
			}
		})
	}
}

func readAll(t *testing.T, path string, copied bool) error {
	set, err := image.Open(t.Context(), path, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer set.Close()
	for _, img := range set.Images {
		if _, _, err := image.OpenRootfs(t.Context(), img, image.FlattenOptions{Copied: copied}); err != nil {
			return err
		}
	}
	return nil
}

// A testArchive describes an archive by its differences from a valid one.
type testArchive struct {
	name    string
	refused string // part of the error; empty if the archive is accepted

	layers   []layerCase
	config   any // replaces the valid one; []byte is written unchanged
	manifest func(manifest map[string]any)
	index    func(index map[string]any, add func(mediaType string, content []byte) map[string]any)
	files    func(files []entry) []entry
	raw      []byte // the whole archive
}

type layerCase struct {
	content   []byte
	plain     []byte // decompressed, if the content is compressed
	mediaType string // layerType if empty
}

type entry struct {
	name    string
	content []byte
	link    string
	kind    byte // tar.TypeReg if 0
}

const (
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
)

func (a testArchive) bytes(t *testing.T) []byte {
	t.Helper()
	if a.raw != nil {
		return a.raw
	}
	var blobs []entry
	add := func(mediaType string, content []byte) map[string]any {
		name := "blobs/sha256/" + sum(content)
		known := false
		for _, b := range blobs {
			known = known || b.name == name
		}
		if !known {
			blobs = append(blobs, entry{name: name, content: content})
		}
		return map[string]any{"mediaType": mediaType, "digest": "sha256:" + sum(content), "size": len(content)}
	}
	layers := a.layers
	if layers == nil {
		layers = []layerCase{{content: tarOf(regular("hello", "hi\n"))}}
	}
	var descriptors, diffIDs []any
	for _, l := range layers {
		mediaType, plain := l.mediaType, l.plain
		if mediaType == "" {
			mediaType = layerType
		}
		if plain == nil {
			plain = l.content
		}
		descriptors = append(descriptors, add(mediaType, l.content))
		diffIDs = append(diffIDs, "sha256:"+sum(plain))
	}
	config := a.config
	if config == nil {
		config = map[string]any{"architecture": runtime.GOARCH, "os": "linux"}
	}
	if m, ok := config.(map[string]any); ok && m["rootfs"] == nil {
		m["rootfs"] = map[string]any{"type": "layers", "diff_ids": diffIDs}
	}
	manifest := map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": add(configType, marshal(config)), "layers": descriptors}
	if a.manifest != nil {
		a.manifest(manifest)
	}
	desc := add(manifestType, marshal(manifest))
	desc["annotations"] = map[string]any{"org.opencontainers.image.ref.name": "example.test/agree:1"}
	index := map[string]any{"schemaVersion": 2, "manifests": []any{desc}}
	if a.index != nil {
		a.index(index, add)
	}
	files := append([]entry{{name: "oci-layout", content: []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {name: "index.json", content: marshal(index)}}, blobs...)
	if a.files != nil {
		files = a.files(files)
	}
	return tarOf(files...)
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func marshal(v any) []byte {
	if raw, ok := v.([]byte); ok {
		return raw
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

func regular(name, content string) entry { return entry{name: name, content: []byte(content)} }

func symlink(name, target string) entry {
	return entry{name: name, kind: tar.TypeSymlink, link: target}
}

func hardLink(name, target string) entry { return entry{name: name, kind: tar.TypeLink, link: target} }

func dirEntry(name string) entry { return entry{name: name, kind: tar.TypeDir} }

func tarOf(files ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Size: int64(len(f.content)), Mode: 0o755}
		if f.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := w.Write(f.content); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func plainLayers(layers ...[]byte) []layerCase {
	var all []layerCase
	for _, l := range layers {
		all = append(all, layerCase{content: l})
	}
	return all
}

// withSize changes the size in the first header of an archive.
func withSize(archive []byte, size []byte) []byte {
	archive = bytes.Clone(archive)
	copy(archive[124:136], size)
	checksum := 8 * int(' ')
	for i, c := range archive[:512] {
		if i < 148 || i >= 156 {
			checksum += int(c)
		}
	}
	copy(archive[148:156], fmt.Sprintf("%06o\x00 ", checksum))
	return archive
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b) // no error, because it writes to memory
	w.Close()
	return out.Bytes()
}

func zstdOf(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func archives() []testArchive {
	base := tarOf(dirEntry("bin/"), regular("bin/sh", "#!"), dirEntry("etc/"), regular("etc/a", "a\n"))
	top := tarOf(regular("etc/b", strings.Repeat("b", 5000)))
	over := func(files ...entry) []layerCase { return plainLayers(base, tarOf(files...)) }
	compressed := func(mediaType string, content []byte) []layerCase {
		return []layerCase{{content: base}, {content: content, plain: top, mediaType: layerType + mediaType}}
	}
	list := []testArchive{
		{name: "plain"},
		{name: "two layers", layers: plainLayers(base, top)},
		{name: "in gzip", raw: gzipOf(dockerCases()[0].raw)},
		{name: "not an archive", raw: []byte(strings.Repeat("junk ", 1000)), refused: "read archive"},
		{name: "empty", raw: []byte{}, refused: "neither an OCI image layout nor written by docker save"},
	}
	list = append(list, storeCases()...)
	list = append(list, documentCases()...)
	list = append(list, dockerCases()...)
	for name, layers := range map[string][]layerCase{
		"opaque root":           over(regular(".wh..wh..opq", ""), regular("bin/sh", "#!")),
		"aufs hard links":       over(dirEntry(".wh..wh.plnk/"), regular(".wh..wh.plnk/1.2", "x")),
		"one name three times":  plainLayers(tarOf(regular("a", "1"), symlink("a", "/etc/shadow"), regular("a", "3"))),
		"trailing garbage":      plainLayers(base, append(bytes.Clone(top), "garbage"...)),
		"without end":           plainLayers(base, top[:512+5120]),
		"gzip":                  compressed("+gzip", gzipOf(top)),
		"several gzip members":  compressed("+gzip", append(gzipOf(top[:1000]), gzipOf(top[1000:])...)),
		"several zstd frames":   compressed("+zstd", append(zstdOf(top[:1000]), zstdOf(top[1000:])...)),
		"plain named as gzip":   compressed("+gzip", top),
		"gzip named as plain":   compressed("", gzipOf(top)),
		"long path":             over(regular(strings.Repeat(strings.Repeat("d", 200)+"/", 10)+"f", "x")),
		"names of any bytes":    over(regular("u/\u202e\nx", "x")),
		"200 layers":            plainLayers(manyLayers(200)...),
		"symbolic link outside": over(symlink("link", "/etc/shadow")),
	} {
		list = append(list, testArchive{name: "layer: " + name, layers: layers})
	}
	for name, c := range map[string]struct {
		layers []layerCase
		err    string
	}{
		"leads out":                     {over(regular("../../../tmp/adamant-escaped", "x")), "leads out of the root"},
		"hard link outside":             {over(hardLink("hl", "../../../etc/hostname")), "layer"},
		"hard link to nothing":          {over(hardLink("hl", "/etc/hostname")), "layer"},
		"whiteout of the parent":        {over(regular(".wh...", "")), "layer"},
		"whiteout of nothing":           {over(regular(".wh.", "")), "layer"},
		"long name":                     {over(regular(strings.Repeat("n", 256), "x")), "256 bytes"},
		"negative size":                 {plainLayers(base, withSize(top, append(bytes.Repeat([]byte{0xff}, 11), 0xfb))), "layer"},
		"size beyond the end":           {plainLayers(base, withSize(top, []byte("77777777777\x00"))), "layer"},
		"truncated":                     {plainLayers(base, top[:2000]), "layer"},
		"gzip without its checksum":     {compressed("+gzip", gzipOf(top)[:len(gzipOf(top))-6]), "unexpected EOF"},
		"zstd behind a skippable frame": {compressed("+zstd", append([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"), zstdOf(top)...)), "layer"},
		"truncated gzip":                {compressed("+gzip", gzipOf(top)[:60]), "layer"},
		"garbage behind gzip":           {compressed("+gzip", append(gzipOf(top), "JUNKJUNK"...)), "layer"},
		"1100 layers":                   {plainLayers(manyLayers(1100)...), "limit of 1024"},
	} {
		list = append(list, testArchive{name: "layer: " + name, layers: c.layers, refused: c.err})
	}
	return list
}

func manyLayers(n int) [][]byte {
	var all [][]byte
	for i := range n {
		all = append(all, tarOf(regular(fmt.Sprintf("etc/%d", i), "x")))
	}
	return all
}

// storeCases differ in the files of the archive.
func storeCases() []testArchive {
	change := func(f func([]entry) []entry) func([]entry) []entry { return f }
	return []testArchive{
		{name: "two index.json", refused: "appears twice", files: change(func(all []entry) []entry { return append(all, all[1]) })},
		{name: "two index.json by other names", refused: "appears twice", files: change(func(all []entry) []entry {
			return append(all, entry{name: "./x/../index.json", content: all[1].content})
		})},
		{name: "a link beside index.json", refused: "appears twice", files: change(func(all []entry) []entry { return append(all, symlink("index.json", "other.json")) })},
		{name: "a blob twice", refused: "appears twice", files: change(func(all []entry) []entry { return append(all, all[len(all)-1]) })},
		{name: "directories twice", files: change(func(all []entry) []entry {
			return append([]entry{dirEntry("./"), dirEntry("blobs/"), dirEntry("blobs/")}, all...)
		})},
		{name: "names that begin with a dot", files: change(func(all []entry) []entry {
			for i := range all {
				all[i].name = "./" + all[i].name
			}
			return all
		})},
		{name: "no oci-layout", refused: "neither an OCI image layout nor written by docker save", files: change(func(all []entry) []entry { return all[1:] })},
		{name: "no index.json", refused: "index.json", files: change(func(all []entry) []entry { return append(all[:1:1], all[2:]...) })},
		{name: "a file that leads out", refused: "leads out of the root", files: change(func(all []entry) []entry { return append(all, regular("../x", "x")) })},
		{name: "blob missing", refused: "blob sha256:", files: change(func(all []entry) []entry { return all[:len(all)-1] })},
		{name: "blob damaged", refused: "sha256:", files: change(func(all []entry) []entry {
			all[2].content = append(bytes.Clone(all[2].content[:len(all[2].content)-1]), 'x')
			return all
		})},
	}
}

// documentCases differ in the configuration, the manifest or the index.
func documentCases() []testArchive {
	padded := func(bytes int) map[string]any {
		return map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Labels": map[string]any{"pad": strings.Repeat("x", bytes)}}}
	}
	first := func(index map[string]any) map[string]any { return index["manifests"].([]any)[0].(map[string]any) }
	return []testArchive{
		{name: "configuration of 5 MiB", config: padded(5 << 20)},
		{name: "configuration of 9 MiB", config: padded(9 << 20), refused: "limit of 8388608"},
		{name: "configuration without layers", config: map[string]any{"architecture": runtime.GOARCH, "os": "linux", "rootfs": map[string]any{}}, refused: "layers"},
		{name: "configuration is no JSON", config: []byte("\xff\xfe"), refused: "configuration"},
		{name: "configuration is null", config: []byte("null"), refused: "layers"},
		{name: "deep configuration", config: bytes.Repeat([]byte("["), 200000), refused: "configuration"},
		{name: "wrong diff id", config: map[string]any{"architecture": runtime.GOARCH, "os": "linux", "rootfs": map[string]any{"diff_ids": []any{"sha256:" + strings.Repeat("1", 64)}}}, refused: "layer"},
		{name: "another platform", config: map[string]any{"architecture": "s390x", "os": "linux"}, refused: "only for linux/s390x"},
		{name: "odd settings", config: map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Env": []any{"A\nB=1", "NOEQ"}, "User": "0:0:0", "WorkingDir": "../../etc"}}},
		{name: "layer of an unknown type", manifest: func(m map[string]any) { m["layers"].([]any)[0].(map[string]any)["mediaType"] = "text/plain" }, refused: "cannot be unpacked"},
		{name: "layer missing", manifest: func(m map[string]any) {
			m["layers"].([]any)[0].(map[string]any)["digest"] = "sha256:" + strings.Repeat("0", 64)
		}, refused: "blob sha256:0000"},
		{name: "an artifact alone", manifest: func(m map[string]any) {
			m["config"].(map[string]any)["mediaType"] = "application/vnd.oci.empty.v1+json"
		}, refused: "no such image"},
		{name: "a signature beside", index: func(index map[string]any, add func(string, []byte) map[string]any) {
			empty := add("application/vnd.oci.empty.v1+json", []byte("{}"))
			signature := add(manifestType, marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": empty, "layers": []any{empty}}))
			index["manifests"] = append(index["manifests"].([]any), signature)
		}},
		{name: "an attestation in the index", index: func(index map[string]any, add func(string, []byte) map[string]any) {
			desc := first(index)
			attestation := map[string]any{"mediaType": manifestType, "digest": desc["digest"], "size": desc["size"], "platform": map[string]any{"os": "unknown", "architecture": "unknown"}}
			desc["platform"] = map[string]any{"os": "linux", "architecture": runtime.GOARCH}
			index["manifests"] = []any{add(indexType, marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": []any{attestation, desc}}))}
		}},
		{name: "schema 1", index: func(index map[string]any, _ func(string, []byte) map[string]any) {
			first(index)["mediaType"] = "application/vnd.docker.distribution.manifest.v1+json"
		}, refused: "no such image"},
		{name: "index missing", index: func(index map[string]any, _ func(string, []byte) map[string]any) {
			index["manifests"] = []any{map[string]any{"mediaType": indexType, "digest": "sha256:" + strings.Repeat("2", 64), "size": 10}}
		}, refused: "blob sha256:2222"},
		{name: "four indexes in each other", index: func(index map[string]any, add func(string, []byte) map[string]any) { nest(index, add, 4, 1) }},
		{name: "five indexes in each other", index: func(index map[string]any, add func(string, []byte) map[string]any) { nest(index, add, 5, 1) }, refused: "indexes inside indexes"},
		{name: "indexes that multiply", index: func(index map[string]any, add func(string, []byte) map[string]any) {
			first(index)["platform"] = map[string]any{"os": "windows", "architecture": "amd64"}
			nest(index, add, 4, 300)
		}, refused: "only for windows"},
		{name: "index of 9 MiB", index: func(index map[string]any, _ func(string, []byte) map[string]any) {
			index["x"] = strings.Repeat("y", 9<<20)
		}, refused: "limit of 8388608"},
		{name: "no name", index: func(index map[string]any, _ func(string, []byte) map[string]any) { delete(first(index), "annotations") }},
		{name: "a tag alone", index: named("v1")},
		{name: "a bad name", index: named("Hostile/UPPER:.."), refused: "image reference"},
		{name: "a name that acts on terminals", index: named("x\x1b[31m/y:1"), refused: "image reference"},
		{name: "two names", index: func(index map[string]any, _ func(string, []byte) map[string]any) {
			desc := first(index)
			index["manifests"] = []any{desc, map[string]any{"mediaType": desc["mediaType"], "digest": desc["digest"], "size": desc["size"],
				"annotations": map[string]any{"io.containerd.image.name": "example.test/other:2"}}}
		}},
	}
}

func named(name string) func(map[string]any, func(string, []byte) map[string]any) {
	return func(index map[string]any, _ func(string, []byte) map[string]any) {
		index["manifests"].([]any)[0].(map[string]any)["annotations"] = map[string]any{"org.opencontainers.image.ref.name": name}
	}
}

// nest puts the manifest into depth indexes, each of which lists the next one
// several times.
func nest(index map[string]any, add func(string, []byte) map[string]any, depth, times int) {
	desc := index["manifests"].([]any)[0]
	for range depth {
		desc = add(indexType, marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": repeat(desc, times)}))
	}
	index["manifests"] = []any{desc}
}

func repeat(v any, times int) []any {
	var all []any
	for range times {
		all = append(all, v)
	}
	return all
}

// dockerCases are archives as docker save writes them.
func dockerCases() []testArchive {
	layer := tarOf(regular("hello", "hi\n"))
	config := string(marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []any{"sha256:" + sum(layer)}}}))
	of := func(configName, layerName string, names []string, files ...entry) []byte {
		entry := map[string]any{"Config": configName, "RepoTags": names, "Layers": []string{layerName}}
		return tarOf(append(files, regular("c.json", config), regular("manifest.json", string(marshal([]any{entry}))))...)
	}
	plain := regular("l/layer.tar", string(layer))
	return []testArchive{
		{name: "docker", raw: of("c.json", "l/layer.tar", []string{"example.test/d:1", "example.test/d:2", "other.test/e:latest"}, plain)},
		{name: "docker without names", raw: of("c.json", "l/layer.tar", nil, plain)},
		{name: "docker with a compressed layer", raw: of("c.json", "l/layer.tar", nil, regular("l/layer.tar", string(gzipOf(layer))))},
		{name: "docker with linked layers", raw: of("c.json", "l/layer.tar", nil, regular("m/layer.tar", string(layer)), symlink("l/layer.tar", "../m/layer.tar"))},
		{name: "docker with a link out", raw: of("c.json", "l/layer.tar", nil, symlink("l/layer.tar", "/etc/hostname")), refused: "layer"},
		{name: "docker with a layer outside", raw: of("c.json", "../../../etc/hostname", nil, plain), refused: "layer"},
		{name: "docker with a configuration outside", raw: of("/etc/passwd", "l/layer.tar", nil, plain), refused: "configuration"},
		{name: "docker with a bad name", raw: of("c.json", "l/layer.tar", []string{"../x:1"}, plain), refused: "image reference"},
	}
}
