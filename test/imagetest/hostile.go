package imagetest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
)

// Hostile returns archives that hostile or careless tools write, in layers,
// compression, digests, documents and names.
func Hostile() []Archive {
	var all []Archive
	for _, list := range [][]Archive{hostileEntries(), hostileTars(), hostileCompression(), hostileBlobs(), hostileIndexes(), hostileNames(), hostileDocker(), notImages()} {
		all = append(all, list...)
	}
	return all
}

var (
	base = tarOf(dirEntry("bin/"), regular("bin/sh", "#!"), dirEntry("etc/"), regular("etc/a", "a\n"))
	top  = tarOf(regular("etc/b", strings.Repeat("b", 5000)))
)

// over returns a layer over base.
func over(files ...entry) []layer { return plainLayers(base, tarOf(files...)) }

// hostileEntries differ in the entries of a layer.
func hostileEntries() []Archive {
	return []Archive{
		{Name: "ok", layers: plainLayers(base)},
		{Name: "dotdot", layers: over(regular("../../../../../../tmp/adamant-pwn1", "x")), Refused: "leads out of the root"},
		{Name: "abs", layers: over(regular("/tmp/adamant-pwn2", "x"))}, // below the root of the image
		{Name: "symlink_dir_escape", layers: over(symlink("lnk", "/tmp"), regular("lnk/adamant-pwn3", "x"))},
		{Name: "symlink_prev_layer", layers: plainLayers(base, tarOf(symlink("lnk", "../../../../../tmp")), tarOf(regular("lnk/adamant-pwn4", "x")))},
		{Name: "hardlink_out", layers: over(hardLink("hl", "../../../../../../etc/hostname")), Refused: `hard link to "../../../../../../etc/hostname": leads out of the root`},
		{Name: "hardlink_abs", layers: over(hardLink("hl", "/etc/hostname")), Refused: `hard link to "/etc/hostname", which does not exist`},
		{Name: "hardlink_via_symlink", layers: over(symlink("l", "/etc"), hardLink("hl", "l/shadow")), Refused: `hard link to "/l/shadow", which does not exist`},
		{Name: "whiteout_dotdot", layers: over(regular(".wh...", "")), Refused: "a whiteout of nothing"},
		{Name: "whiteout_dot", layers: over(regular(".wh..", "")), Refused: "a whiteout of nothing"},
		{Name: "whiteout_bare", layers: over(regular(".wh.", "")), Refused: "a whiteout of nothing"},
		{Name: "whiteout_slash", layers: over(regular("etc/.wh.../x", ""))}, // a directory of that name
		{Name: "opaque_root", layers: over(regular(".wh..wh..opq", ""), dirEntry("bin/"), regular("bin/sh", "#!"))},
		{Name: "aufs_plnk", layers: over(dirEntry(".wh..wh.plnk/"), regular(".wh..wh.plnk/1.2", "x"), hardLink("hl", ".wh..wh.plnk/1.2"))}, // a directory of that name
		{Name: "dup_entry", layers: plainLayers(tarOf(regular("etc/a", "b\n"), symlink("etc/a", "/etc/shadow"), regular("etc/a", "c\n")))},
		{Name: "dir_to_symlink", layers: plainLayers(tarOf(dirEntry("d/"), symlink("d", "/tmp"), regular("d/adamant-pwn5", "x")))},
		{Name: "devices", layers: over(
			entry{name: "sda", kind: tar.TypeBlock, device: [2]int64{254, 0}}, entry{name: "null", kind: tar.TypeChar, device: [2]int64{1, 3}},
			entry{name: "wh", kind: tar.TypeChar}, entry{name: "p", kind: tar.TypeFifo})},
		{Name: "xattr_overlay", layers: over(entry{name: "etc/", kind: tar.TypeDir, pax: map[string]string{
			"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.redirect": "/../../../../etc"}})},
		{Name: "pax_longname", layers: over(regular(strings.Repeat(strings.Repeat("d", 200)+"/", 30)+"f", "x")), Refused: "limit of 4095 for bytes of a path"},
		{Name: "gnu_longname", layers: over(regular(strings.Repeat("g", 250)+"/f", "x"))},
		{Name: "name_256", layers: over(regular(strings.Repeat("n", 256), "x")), Refused: "a name of 256 bytes"},
		{Name: "unicode", layers: over(regular("u/\u202e\u0301né\nx", "x"), regular("u/\U0001F600", "x"))},
	}
}

// hostileTars differ in the format of a layer.
func hostileTars() []Archive {
	return []Archive{
		{Name: "negative_size", layers: plainLayers(base, withSize(top, append(bytes.Repeat([]byte{0xff}, 11), 0xfb))), Refused: "layer 1 ("},
		{Name: "size_beyond", layers: plainLayers(base, withSize(top, []byte("77777777777\x00"))), Refused: "unexpected EOF"},
		{Name: "trailing_garbage", layers: plainLayers(base, append(bytes.Clone(top), strings.Repeat("garbage", 1000)...))},
		{Name: "no_end_blocks", layers: plainLayers(base, top[:512+5120])},
		{Name: "truncated_tar", layers: plainLayers(base, top[:2000]), Refused: "unexpected EOF"},
	}
}

const skippable = "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"

// compressed returns a layer over base in a form.
func compressed(suffix string, content []byte) []layer {
	return []layer{{content: base}, {content: content, plain: top, mediaType: layerType + suffix}}
}

func hostileCompression() []Archive {
	noise := rand.NewChaCha8([32]byte{})
	incompressible := make([]byte, 300<<10)
	noise.Read(incompressible)
	large := tarOf(regular("etc/b", string(incompressible)))
	raw := func(options, window byte, more ...byte) []byte {
		frame := append([]byte{0x28, 0xb5, 0x2f, 0xfd, options, window}, more...)
		return append(append(frame, byte(len(top)<<3|1), byte(len(top)>>5), byte(len(top)>>13)), top...)
	}
	return []Archive{
		{Name: "gzip_concat", layers: compressed("+gzip", append(gzipOf(top[:1000]), gzipOf(top[1000:])...))},
		{Name: "gzip_trailing", layers: compressed("+gzip", append(gzipOf(top), "JUNKJUNK"...)), Refused: "unexpected EOF"},
		{Name: "gzip_truncated", layers: compressed("+gzip", gzipOf(top)[:len(gzipOf(top))-6]), Refused: "unexpected EOF"},
		{Name: "gzip_half", layers: compressed("+gzip", gzipOf(top)[:60]), Refused: "unexpected EOF"},
		{Name: "zstd_multi", layers: compressed("+zstd", append(zstdOf(top[:1000]), zstdOf(top[1000:])...))},
		{Name: "zstd_skippable", layers: compressed("+zstd", append([]byte(skippable), zstdOf(top)...))},
		{Name: "zstd_skippable_between", layers: compressed("+zstd", bytes.Join([][]byte{[]byte(skippable), zstdOf(top[:1000]), []byte("\x5f\x2a\x4d\x18\x00\x00\x00\x00"), zstdOf(top[1000:]), []byte(skippable)}, nil))},
		{Name: "zstd_many_frames", layers: []layer{{content: pzstd(large), plain: large, mediaType: layerType + "+zstd"}}},
		{Name: "zstd_truncated", layers: compressed("+zstd", append([]byte(skippable), zstdOf(top)[:60]...)), Refused: "unexpected EOF"},
		{Name: "zstd_skippable_beyond", layers: compressed("+zstd", []byte("\x50\x2a\x4d\x18\xff\xff\xff\xffabcd")), Refused: "layer 1 ("},
		{Name: "zstd_trailing", layers: compressed("+zstd", append(zstdOf(top), "JUNKJUNK"...)), Refused: "layer 1 ("},
		{Name: "zstd_window", layers: compressed("+zstd", raw(0, 21<<3)), Refused: "window size exceeded"}, // 2 GiB
		{Name: "zstd_dict", layers: compressed("+zstd", raw(1, 7<<3, 42)), Refused: "dictionary"},
		{Name: "zstd_plain_blocks", layers: compressed("+zstd", raw(0, 7<<3))},
		{Name: "plain_as_gzip", layers: compressed("+gzip", top)},
		{Name: "gzip_as_plain", layers: compressed("", gzipOf(top))},
		{Name: "gzip_bomb", lazy: bomb, Refused: "limit of 200 for compression ratio"},
		{Name: "sparse_4T", layers: plainLayers(base, sparse(4<<40)), Refused: "limit of 274877906944 for bytes"},
	}
}

// pzstd compresses as pzstd does: each frame behind a skippable one with its size.
func pzstd(plain []byte) []byte {
	var out []byte
	for part := range chunks(plain, 100<<10) {
		frame := zstdOf(part)
		out = append(out, 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, byte(len(frame)), byte(len(frame)>>8), byte(len(frame)>>16), byte(len(frame)>>24))
		out = append(out, frame...)
	}
	return out
}

func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// bomb returns a file of 6 GiB of zeros in 6 MB.
var bomb = sync.OnceValue(func() []layer {
	header := tarOf(entry{name: "zeros"})[:512]
	return []layer{{content: base}, {
		content: repeatedGzip(withSize(header, fmt.Appendf(nil, "%011o\x00", int64(6<<30))), 64<<20, 96), mediaType: layerType + "+gzip",
		plain: []byte{}, // its digest is never reached
	}}
})

// hostileBlobs differ in digests, configurations and manifests.
func hostileBlobs() []Archive {
	config := func(more map[string]any) map[string]any {
		c := map[string]any{"architecture": runtime.GOARCH, "os": "linux"}
		for k, v := range more {
			c[k] = v
		}
		return c
	}
	firstLayer := func(change func(map[string]any)) func(map[string]any) {
		return func(m map[string]any) { change(m["layers"].([]any)[0].(map[string]any)) }
	}
	return []Archive{
		{Name: "missing_blob", manifest: firstLayer(func(l map[string]any) { l["digest"] = "sha256:" + strings.Repeat("0", 64) }), Refused: "blob sha256:0000"},
		{Name: "missing_file", files: func(all []entry) []entry { return all[:len(all)-1] }, Refused: "file does not exist"},
		{Name: "wrong_digest", files: func(all []entry) []entry {
			all[2].content = append(bytes.Clone(all[2].content[:len(all[2].content)-1]), 'x')
			return all
		}, Refused: "has sha256:"},
		{Name: "wrong_size", manifest: firstLayer(func(l map[string]any) { l["size"] = 1 }), Refused: "bytes, not 1"},
		{Name: "wrong_diffid", config: config(map[string]any{"rootfs": map[string]any{"diff_ids": []any{"sha256:" + strings.Repeat("1", 64)}}}), Refused: "layer with diff id sha256:1111"},
		{Name: "cfg_no_rootfs", config: config(map[string]any{"rootfs": map[string]any{}}), Refused: "the manifest has 1 layers"},
		{Name: "cfg_not_json", config: []byte("\xff\xfe"), Refused: "invalid character"},
		{Name: "cfg_null", config: []byte("null"), Refused: "the manifest has 1 layers"},
		{Name: "cfg_deep", config: bytes.Repeat([]byte("["), 200000), Refused: "exceeded max depth"},
		{Name: "cfg_many_values", config: []byte(`{"history":[` + strings.Repeat("{},", 600_000) + `{}]}`), Refused: "limit of 500000 for values in a document"},
		{Name: "cfg_9_MiB", config: config(map[string]any{"config": map[string]any{"Labels": map[string]any{"pad": strings.Repeat("x", 9<<20)}}}), Refused: "limit of 8388608 for bytes of a document"},
		{Name: "foreign", manifest: firstLayer(func(l map[string]any) {
			l["mediaType"], l["urls"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", []any{"http://127.0.0.1:1/x"}
		})}, // the layer is there: nothing is fetched
		{Name: "layers_1100", layers: plainLayers(manyLayers(1100)...), Refused: "limit of 1024 for layers"},
		{Name: "layers_200", layers: plainLayers(manyLayers(200)...)},
		{Name: "env_odd", config: config(map[string]any{"config": map[string]any{
			"Env": []any{"A\nB=1", "NOEQ", "=x"}, "User": "0:0:0", "WorkingDir": "../../etc", "Entrypoint": []any{"/bin/sh\x00x"},
			"Volumes": map[string]any{"../../x": map[string]any{}, "/a\nb": map[string]any{}}}})},
	}
}

// hostileIndexes differ in the indexes around the image.
func hostileIndexes() []Archive {
	return []Archive{
		{Name: "index_missing", index: func(index map[string]any, _ adder) {
			index["manifests"] = []any{map[string]any{"mediaType": indexType, "digest": "sha256:" + strings.Repeat("2", 64), "size": 10}}
		}, Refused: "blob sha256:2222"},
		{Name: "index_deep", index: func(index map[string]any, add adder) { nest(index, add, 12, 1) }, Refused: "limit of 4 for indexes inside indexes"},
		{Name: "index_five", index: func(index map[string]any, add adder) { nest(index, add, 5, 1) }, Refused: "limit of 4 for indexes inside indexes"},
		{Name: "index_wide", index: func(index map[string]any, add adder) {
			first(index)["platform"] = map[string]any{"os": "windows", "architecture": "amd64"}
			nest(index, add, 4, 300)
		}, Refused: "no such image for linux/" + runtime.GOARCH + ", only for windows/amd64"},
		{Name: "index_again", index: func(index map[string]any, add adder) { // each time it would be read, with its image
			nest(index, add, 4, 300)
			index["manifests"] = repeat(index["manifests"].([]any)[0], 20_000)
		}},
		{Name: "index_many_names", index: func(index map[string]any, _ adder) {
			desc, all := first(index), []any{}
			for i := range 10_000 {
				all = append(all, map[string]any{"mediaType": desc["mediaType"], "digest": desc["digest"], "size": desc["size"],
					"annotations": map[string]any{"org.opencontainers.image.ref.name": fmt.Sprintf("v%d", i)}})
			}
			index["manifests"] = all
		}},
		{Name: "big_index", index: func(index map[string]any, _ adder) { index["x"] = strings.Repeat("y", 9<<20) }, Refused: "limit of 8388608 for bytes of a document"},
		{Name: "schema1", index: func(index map[string]any, _ adder) {
			first(index)["mediaType"] = "application/vnd.docker.distribution.manifest.v1+json"
		}, Refused: "no such image"},
	}
}

func hostileNames() []Archive {
	return []Archive{
		{Name: "no_annotation", index: func(index map[string]any, _ adder) { delete(first(index), "annotations") }},
		{Name: "tag_only", index: named("v1")},
		{Name: "bad_name", index: named("Hostile/UPPER:.."), Refused: `image reference "Hostile/UPPER:.."`},
		{Name: "esc_name", index: named("x\x1b[31m/y:1"), Refused: `image reference "x\x1b[31m/y:1"`},
	}
}

// hostileDocker are archives as docker save writes them.
func hostileDocker() []Archive {
	plain := regular("l/layer.tar", string(dockerLayer))
	return []Archive{
		{Name: "docker_two_tags", raw: dockerOf("c.json", "l/layer.tar", []string{"example.test/d:1", "example.test/d:2", "other.test/e:latest"}, plain)},
		{Name: "docker_link_out", raw: dockerOf("c.json", "l/layer.tar", nil, symlink("l/layer.tar", "/etc/shadow")), Refused: "broken link: /l/layer.tar leads to /etc/shadow"},
		{Name: "docker_path", raw: dockerOf("c.json", "../../../../etc/shadow", nil, plain), Refused: "layer ../../../../etc/shadow: open /etc/shadow in archive: file does not exist"},
		{Name: "docker_cfg_path", raw: dockerOf("/etc/passwd", "l/layer.tar", nil, plain), Refused: "configuration: open /etc/passwd in archive: file does not exist"},
		{Name: "docker_null_tags", raw: dockerOf("c.json", "l/layer.tar", nil, plain)},
	}
}

func notImages() []Archive {
	random := make([]byte, 5000)
	rand.NewChaCha8([32]byte{1}).Read(random)
	return []Archive{
		{Name: "not_tar", raw: random, Refused: "read archive"},
		{Name: "empty", raw: []byte{}, Refused: "neither an OCI image layout nor written by docker save"},
		{Name: "gz_layout", raw: gzipOf(Archive{}.Bytes())},
	}
}

// Costly returns archives that would take much more time or memory than their size
// without limits on paths, links and attributes.
func Costly() []Archive {
	deep := strings.Repeat("d/", 2000)
	var tower, below, attributes, through []entry
	for i := range 200 {
		tower = append(tower, entry{name: fmt.Sprintf("%d/%sx", i, deep)})
	}
	for i := range 500 {
		below = append(below, entry{name: fmt.Sprintf("%sx%d/y", strings.Repeat("d/", 1000), i)})
	}
	for i := range 900 {
		attributes = append(attributes, entry{name: fmt.Sprint(i), pax: map[string]string{"SCHILY.xattr.user.x": strings.Repeat("x", 1<<20-100)}})
	}
	through = append(through, symlink("l", strings.Repeat(strings.Repeat("d", 200)+"/", 19)))
	for i := range 100_000 {
		through = append(through, entry{name: fmt.Sprintf("l/%d", i)})
	}
	loop := []entry{symlink("l0", strings.Repeat("./", 2000))}
	for i := 1; i < 250; i++ {
		loop = append(loop, symlink(fmt.Sprintf("l%d", i), strings.Repeat("./", 2000)+fmt.Sprintf("l%d", i-1)))
	}
	for i := range 20_000 {
		loop = append(loop, entry{name: fmt.Sprintf("l249/%d", i)})
	}
	layer := func(entries []entry) func() []layer {
		return func() []layer {
			plain := tarOf(entries...)
			return []layer{{content: zstdOf(plain), plain: plain, mediaType: layerType + "+zstd"}}
		}
	}
	many := plainLayers()
	for range 200 {
		many = append(many, layer(below)()...)
	}
	return []Archive{
		{Name: "implied directories", lazy: layer(tower), Refused: "for bytes of names and attributes"},
		{Name: "implied directories over many layers", layers: many, Refused: "for bytes of names and attributes"},
		{Name: "attributes", lazy: layer(attributes), Refused: "for bytes of names and attributes"},
		{Name: "long paths through a link", lazy: layer(through), Refused: "for bytes of names and attributes"},
		{Name: "long links", lazy: layer(loop), Refused: "for components of paths"},
	}
}
