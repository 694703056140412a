// Package imagetest makes archives of images for tests: valid, odd and hostile ones, each
// with the verdict that every reader must give. It reads nothing.
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// An Archive is described by its differences from a valid one.
type Archive struct {
	Name    string
	Refused string // part of the error of every reader; empty if they accept the archive

	layers   []layer
	lazy     func() []layer // in place of layers that are expensive to make
	config   any            // replaces the valid one; []byte is written unchanged
	manifest func(manifest map[string]any)
	index    func(index map[string]any, add adder)
	files    func(files []entry) []entry
	raw      []byte // the whole archive
}

type layer struct {
	content   []byte
	plain     []byte // decompressed, if the content is compressed
	mediaType string // layerType if empty
}

type entry struct {
	name    string
	content []byte
	link    string
	kind    byte // tar.TypeReg if 0
	device  [2]int64
	pax     map[string]string
}

const (
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
)

// Bytes returns the archive.
func (a Archive) Bytes() []byte {
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
	if a.lazy != nil {
		layers = a.lazy()
	}
	if layers == nil {
		layers = []layer{{content: tarOf(regular("hello", "hi\n"))}}
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
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Size: int64(len(f.content)), Mode: 0o755, Devmajor: f.device[0], Devminor: f.device[1], PAXRecords: f.pax}
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

func plainLayers(layers ...[]byte) []layer {
	var all []layer
	for _, l := range layers {
		all = append(all, layer{content: l})
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

// repeatedGzip compresses a header and n times as many zeros, which costs less than
// compressing them all: the blocks do not refer to each other.
func repeatedGzip(header []byte, zeros, n int) []byte {
	var block, out bytes.Buffer
	w, err := flate.NewWriter(&block, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	deflate := func(content []byte) []byte {
		block.Reset()
		w.Reset(&block)
		w.Write(content) // no error, because it writes to memory
		w.Flush()
		return bytes.Clone(block.Bytes())
	}
	out.WriteString("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
	out.Write(deflate(header))
	out.Write(bytes.Repeat(deflate(make([]byte, zeros)), n))
	return out.Bytes()
}

// sparse returns a layer with an empty sparse file, in PAX format, of a size.
func sparse(size int64) []byte {
	const holes = "1\n0\n0\n"
	var records []byte
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=sparse", fmt.Sprintf("GNU.sparse.realsize=%d", size)} {
		n := len(r) + 3
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n++
		}
		records = fmt.Appendf(records, "%d %s\n", n, r)
	}
	extended := tarOf(entry{name: "PaxHeaders.0/sparse", content: records})[:1024]
	extended[156] = 'x' // the standard library does not write these records
	extended = withSize(extended, fmt.Appendf(nil, "%011o\x00", len(records)))
	return append(extended, tarOf(regular("GNUSparseFile.0/sparse", holes+string(make([]byte, 512-len(holes)))))...)
}
