package imagetest

import (
	"fmt"
	"runtime"
	"strings"
)

// Odd returns archives on which readers differ, and those of tools that write more than
// the image.
func Odd() []Archive {
	all := []Archive{
		{Name: "two layers", layers: plainLayers(base, top)},
		{Name: "symbolic link outside", layers: over(symlink("link", "/etc/shadow"))},
		{Name: "gzip", layers: compressed("+gzip", gzipOf(top))},
	}
	for _, list := range [][]Archive{storeCases(), documentCases(), artifactCases(), dockerCases()} {
		all = append(all, list...)
	}
	return all
}

type adder = func(mediaType string, content []byte) map[string]any

// first returns the descriptor of the image in index.json.
func first(index map[string]any) map[string]any {
	return index["manifests"].([]any)[0].(map[string]any)
}

func manyLayers(n int) [][]byte {
	var all [][]byte
	for i := range n {
		all = append(all, tarOf(regular(fmt.Sprintf("etc/%d", i), "x")))
	}
	return all
}

// storeCases differ in the files of the archive.
func storeCases() []Archive {
	change := func(f func([]entry) []entry) func([]entry) []entry { return f }
	return []Archive{
		{Name: "two index.json", Refused: "appears twice", files: change(func(all []entry) []entry { return append(all, all[1]) })},
		{Name: "two index.json by other names", Refused: "appears twice", files: change(func(all []entry) []entry {
			return append(all, entry{name: "./x/../index.json", content: all[1].content})
		})},
		{Name: "a link beside index.json", Refused: "appears twice", files: change(func(all []entry) []entry { return append(all, symlink("index.json", "other.json")) })},
		{Name: "a blob twice", Refused: "appears twice", files: change(func(all []entry) []entry { return append(all, all[len(all)-1]) })},
		{Name: "directories twice", files: change(func(all []entry) []entry {
			return append([]entry{dirEntry("./"), dirEntry("blobs/"), dirEntry("blobs/")}, all...)
		})},
		{Name: "names that begin with a dot", files: change(func(all []entry) []entry {
			for i := range all {
				all[i].name = "./" + all[i].name
			}
			return all
		})},
		{Name: "no oci-layout", Refused: "neither an OCI image layout nor written by docker save", files: change(func(all []entry) []entry { return all[1:] })},
		{Name: "no index.json", Refused: "open /index.json in archive: file does not exist", files: change(func(all []entry) []entry { return append(all[:1:1], all[2:]...) })},
		{Name: "a blob that is a broken link", Refused: "broken link: /blobs/sha256/", files: change(func(all []entry) []entry {
			return append(all[:2:2], append(all[3:], symlink(all[2].name, "/etc/shadow"))...)
		})},
		{Name: "oci-layout is a broken link", Refused: "broken link: /oci-layout leads to /nowhere", files: change(func(all []entry) []entry {
			return append(all[1:], symlink("oci-layout", "/nowhere"))
		})},
		{Name: "a file that leads out", Refused: "leads out of the root", files: change(func(all []entry) []entry { return append(all, regular("../x", "x")) })},
	}
}

// documentCases differ in the configuration, the manifest or the index.
func documentCases() []Archive {
	padded := func(bytes int) map[string]any {
		return map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Labels": map[string]any{"pad": strings.Repeat("x", bytes)}}}
	}
	return []Archive{
		{Name: "configuration of 5 MiB", config: padded(5 << 20)},
		{Name: "another platform", config: map[string]any{"architecture": "s390x", "os": "linux"}, Refused: "only for linux/s390x"},
		{Name: "layer of an unknown type", manifest: func(m map[string]any) { m["layers"].([]any)[0].(map[string]any)["mediaType"] = "text/plain" }, Refused: "no such image, only artifacts (text/plain)"},
		{Name: "one layer of an unknown type", layers: plainLayers(base, top), manifest: func(m map[string]any) { m["layers"].([]any)[0].(map[string]any)["mediaType"] = "text/plain" }, Refused: "cannot be unpacked"},
		{Name: "an artifact alone", manifest: func(m map[string]any) {
			m["config"].(map[string]any)["mediaType"] = "application/vnd.oci.empty.v1+json"
		}, Refused: "no such image, only artifacts (application/vnd.oci.empty.v1+json)"},
		{Name: "four indexes in each other", index: func(index map[string]any, add adder) { nest(index, add, 4, 1) }},
		{Name: "two names", index: func(index map[string]any, _ adder) {
			desc := first(index)
			index["manifests"] = []any{desc, map[string]any{"mediaType": desc["mediaType"], "digest": desc["digest"], "size": desc["size"],
				"annotations": map[string]any{"io.containerd.image.name": "example.test/other:2"}}}
		}},
	}
}

func named(name string) func(map[string]any, adder) {
	return func(index map[string]any, _ adder) {
		index["manifests"].([]any)[0].(map[string]any)["annotations"] = map[string]any{"org.opencontainers.image.ref.name": name}
	}
}

// nest puts the manifest into depth indexes, each of which lists the next one
// several times.
func nest(index map[string]any, add adder, depth, times int) {
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

// artifactCases have an artifact beside the image, as tools write them.
func artifactCases() []Archive {
	const empty, config = "application/vnd.oci.empty.v1+json", configType
	var all []Archive
	for _, c := range []struct {
		name         string
		configType   string
		artifactType string
		layerType    string
		subject      bool
		platform     map[string]any
	}{
		{"cosign_beside", empty, "application/vnd.dev.cosign.artifact.sig.v1+json", "application/vnd.dev.cosign.simplesigning.v1+json", false, nil},
		{"a signature of cosign 1 and 2", config, "", "application/vnd.dev.cosign.simplesigning.v1+json", false, nil},
		{"an attestation of cosign", config, "", "application/vnd.dsse.envelope.v1+json", false, nil},
		{"an SBOM of cosign", config, "", "text/spdx+json", false, nil},
		{"a signature of notation", "application/vnd.cncf.notary.signature", "application/vnd.cncf.notary.signature", "application/jose+json", true, nil},
		{"a referrer", empty, "application/vnd.cyclonedx+json", empty, true, nil},
		{"attestation", config, "", "application/vnd.in-toto+json", false, map[string]any{"os": "unknown", "architecture": "unknown"}},
		{"an attestation without a platform", config, "application/vnd.docker.attestation.manifest.v1+json", "application/vnd.in-toto+json", true, nil},
		{"a helm chart", "application/vnd.cncf.helm.config.v1+json", "", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", false, nil},
	} {
		artifact := func(index map[string]any, add adder) map[string]any {
			m := map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": add(c.configType, []byte("{}")), "layers": []any{add(c.layerType, []byte(c.name))}}
			if c.artifactType != "" {
				m["artifactType"] = c.artifactType
			}
			if c.subject {
				m["subject"] = map[string]any{"mediaType": manifestType, "digest": first(index)["digest"], "size": first(index)["size"]}
			}
			desc := add(manifestType, marshal(m))
			if c.platform != nil {
				desc["platform"] = c.platform
			}
			desc["annotations"] = map[string]any{"org.opencontainers.image.ref.name": "example.test/agree:sha256-aa.sig"}
			return desc
		}
		all = append(all,
			Archive{Name: c.name, index: func(index map[string]any, add adder) {
				index["manifests"] = []any{artifact(index, add), first(index)}
			}},
			Archive{Name: c.name + ", in an index", index: func(index map[string]any, add adder) {
				image := first(index)
				image["platform"] = map[string]any{"os": "linux", "architecture": runtime.GOARCH}
				index["manifests"] = []any{add(indexType, marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": []any{artifact(index, add), image}}))}
			}},
		)
	}
	return append(all, Archive{Name: "an artifact manifest", index: func(index map[string]any, add adder) {
		index["manifests"] = append([]any{add("application/vnd.oci.artifact.manifest.v1+json", []byte("{}"))}, index["manifests"].([]any)...)
	}})
}

var dockerLayer = tarOf(regular("hello", "hi\n"))

// dockerOf returns an archive as docker save writes it.
func dockerOf(configName, layerName string, names []string, files ...entry) []byte {
	config := string(marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []any{"sha256:" + sum(dockerLayer)}}}))
	entry := map[string]any{"Config": configName, "RepoTags": names, "Layers": []string{layerName}}
	return tarOf(append(files, regular("c.json", config), regular("manifest.json", string(marshal([]any{entry}))))...)
}

func dockerCases() []Archive {
	plain := regular("l/layer.tar", string(dockerLayer))
	return []Archive{
		{Name: "docker with a compressed layer", raw: dockerOf("c.json", "l/layer.tar", nil, regular("l/layer.tar", string(gzipOf(dockerLayer))))},
		{Name: "docker with a layer in zstd", raw: dockerOf("c.json", "l/layer.tar", nil, regular("l/layer.tar", skippable+string(zstdOf(dockerLayer))))},
		{Name: "docker with linked layers", raw: dockerOf("c.json", "l/layer.tar", nil, regular("m/layer.tar", string(dockerLayer)), symlink("l/layer.tar", "../m/layer.tar"))},
		{Name: "docker with a hard link", raw: dockerOf("c.json", "l/layer.tar", nil, regular("m/layer.tar", string(dockerLayer)), hardLink("l/layer.tar", "m/layer.tar"))},
		{Name: "docker with a broken hard link", raw: dockerOf("c.json", "l/layer.tar", nil, hardLink("l/layer.tar", "m/layer.tar")), Refused: "broken link: /l/layer.tar leads to /m/layer.tar"},
		{Name: "docker with a link to a link", raw: dockerOf("c.json", "l/layer.tar", nil, symlink("m/layer.tar", "../l/layer.tar"), symlink("l/layer.tar", "../m/layer.tar")), Refused: "broken link: /l/layer.tar leads to /m/layer.tar"},
		{Name: "docker with a linked directory", raw: dockerOf("c.json", "l/layer.tar", nil, symlink("l", "m"), regular("m/layer.tar", string(dockerLayer))), Refused: "broken link: /l leads to /m"},
		{Name: "docker with a bad name", raw: dockerOf("c.json", "l/layer.tar", []string{"../x:1"}, plain), Refused: "image reference"},
	}
}
