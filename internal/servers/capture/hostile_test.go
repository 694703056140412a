package capture

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// streams are the archives of layers, by name.
type streams map[string][]byte

// with replaces the config layer.
func (s streams) with(config []byte) streams {
	return streams{PackagesLayer: s[PackagesLayer], ConfigLayer: config}
}

// honest returns the plan and the layers of a small server.
func honest(t *testing.T) (Plan, streams) {
	t.Helper()
	root, _ := smallRoot(t)
	p := survey1(t, root, SurveyOptions{})
	s := streams{}
	for _, name := range []string{PackagesLayer, ConfigLayer} {
		var layer bytes.Buffer
		must(t, WriteLayer(t.Context(), root, p, name, &layer))
		s[name] = layer.Bytes()
	}
	return p, s
}

// build builds from streams, and requires that a failure leaves nothing.
func build(t *testing.T, p Plan, o BuildOptions, s streams) (string, error) {
	t.Helper()
	dir := t.TempDir()
	o.Image, o.Out = "adamant.test/hostile:1", filepath.Join(dir, "image.tar")
	digest, err := Build(t.Context(), p, o, func(layer string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(s[layer])), nil
	})
	left, readErr := os.ReadDir(dir)
	must(t, readErr)
	if want := map[bool]int{true: 1, false: 0}[err == nil]; len(left) != want {
		t.Errorf("%v left after error %v", left, err)
	}
	return digest, err
}

// rewritten passes each header of an archive through change.
func rewritten(t *testing.T, archive []byte, change func(h *tar.Header, content []byte) (*tar.Header, []byte)) []byte {
	t.Helper()
	var b bytes.Buffer
	in, out := tar.NewReader(bytes.NewReader(archive)), tar.NewWriter(&b)
	for {
		h, err := in.Next()
		if err == io.EOF {
			must(t, out.Close())
			return b.Bytes()
		}
		must(t, err)
		content, err := io.ReadAll(in)
		must(t, err)
		if h, content = change(h, content); h == nil {
			continue
		}
		h.Size = int64(len(content))
		must(t, out.WriteHeader(h))
		_, err = out.Write(content)
		must(t, err)
	}
}

func TestBuildRefusesWhatIsNotPlanned(t *testing.T) {
	p, all := honest(t)
	layer := all[ConfigLayer]
	if _, err := build(t, p, BuildOptions{}, all); err != nil {
		t.Fatal(err)
	}
	is := func(h *tar.Header, name string) bool { return h.Name == name }
	for _, c := range []struct {
		name   string
		change func(h *tar.Header, content []byte) (*tar.Header, []byte)
	}{
		{"absolute", func(h *tar.Header, c []byte) (*tar.Header, []byte) { h.Name = "/" + h.Name; return h, c }},
		{"climbs", func(h *tar.Header, c []byte) (*tar.Header, []byte) { h.Name = "../" + h.Name; return h, c }},
		{"missing", func(h *tar.Header, c []byte) (*tar.Header, []byte) {
			if is(h, "etc/app.conf") {
				return nil, nil
			}
			return h, c
		}},
		{"content", func(h *tar.Header, c []byte) (*tar.Header, []byte) {
			if is(h, "etc/app.conf") {
				c = bytes.ToUpper(c)
			}
			return h, c
		}},
		{"setuid", func(h *tar.Header, c []byte) (*tar.Header, []byte) { h.Mode |= 0o4000; return h, c }},
		{"owner", func(h *tar.Header, c []byte) (*tar.Header, []byte) { h.Uid = 5; return h, c }},
		{"target", func(h *tar.Header, c []byte) (*tar.Header, []byte) {
			if h.Typeflag == tar.TypeSymlink {
				h.Linkname = "../../../etc/shadow"
			}
			return h, c
		}},
		{"hard link out", func(h *tar.Header, c []byte) (*tar.Header, []byte) {
			if h.Typeflag == tar.TypeLink {
				h.Linkname = "../etc/shadow"
			}
			return h, c
		}},
		{"device", func(h *tar.Header, c []byte) (*tar.Header, []byte) {
			if is(h, "etc/app.conf") {
				h.Typeflag, c = tar.TypeBlock, nil
			}
			return h, c
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := build(t, p, BuildOptions{}, all.with(rewritten(t, layer, c.change))); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("more", func(t *testing.T) {
		more := append(bytes.Clone(layer[:len(layer)-1024]), rewritten(t, layer, func(h *tar.Header, c []byte) (*tar.Header, []byte) { h.Name = "x" + h.Name; return h, c })...)
		if _, err := build(t, p, BuildOptions{}, all.with(more)); !errors.Is(err, ErrHostile) {
			t.Errorf("error %v, want %v", err, ErrHostile)
		}
	})
	t.Run("cut", func(t *testing.T) {
		if _, err := build(t, p, BuildOptions{}, all.with(layer[:len(layer)/2])); err == nil {
			t.Error("no error")
		}
	})
	t.Run("large", func(t *testing.T) {
		if _, err := build(t, p, BuildOptions{MaxBytes: 1 << 20}, all); !errors.Is(err, tree.ErrTooLarge) {
			t.Errorf("error %v, want %v", err, tree.ErrTooLarge)
		}
	})
}

// Extra data in a stream does not reach the image.
func TestBuildWritesStreamsAnew(t *testing.T) {
	p, all := honest(t)
	layer := all[ConfigLayer]
	want, err := build(t, p, BuildOptions{}, all)
	must(t, err)
	got, err := build(t, p, BuildOptions{}, all.with(rewritten(t, layer, func(h *tar.Header, c []byte) (*tar.Header, []byte) {
		h.Format, h.Uname, h.Gname = tar.FormatPAX, "mallory", "mallory"
		h.PAXRecords = map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y", "ADAMANT.x": strings.Repeat("x", 1000)}
		return h, c
	})))
	must(t, err)
	if got != want {
		t.Errorf("image %s, want %s", got, want)
	}
}

func TestPlansThatNoSurveyMakes(t *testing.T) {
	file := tree.Entry{Path: "/bin/sh", Kind: tree.Regular, Mode: 0o644, Digest: "sha256:" + strings.Repeat("0", 64)}
	plan := func(packages, config []tree.Entry) Plan {
		a, err := tree.New(packages)
		must(t, err)
		b, err := tree.New(config)
		must(t, err)
		return Plan{Version: PlanVersion, Packages: Layer{Files: Listing{a}}, Config: Layer{Files: Listing{b}}}
	}
	for name, p := range map[string]Plan{
		"below a link":      plan([]tree.Entry{{Path: "/bin", Kind: tree.Symlink, Target: "/etc"}}, []tree.Entry{file}),
		"twice":             plan([]tree.Entry{file}, []tree.Entry{file}),
		"whiteout":          plan(nil, []tree.Entry{{Path: "/.wh.bin", Kind: tree.Directory}}),
		"opaque":            plan(nil, []tree.Entry{{Path: "/etc/.wh..wh..opq/x", Kind: tree.Directory}}),
		"device":            plan(nil, []tree.Entry{{Path: "/sda", Kind: tree.BlockDevice, Major: 8}}),
		"overlay attribute": plan(nil, []tree.Entry{{Path: "/x", Kind: tree.Directory, Xattrs: map[string]string{"trusted.overlay.opaque": "y"}}}),
		"link to nothing":   plan(nil, []tree.Entry{{Path: "/b", Kind: tree.Regular, Digest: file.Digest, Link: "/a"}}),
		"another version":   {Version: 99},
	} {
		if _, err := build(t, p, BuildOptions{}, nil); !errors.Is(err, ErrHostile) {
			t.Errorf("%s: error %v, want %v", name, err, ErrHostile)
		}
	}
}

// fuzzPlan is small, so that a fuzzer gets through it.
const fuzzPlan = `{"version":1,"architecture":"amd64","packages":{"files":"adamant tree 1\nd 0755 0 0 /etc\nend 1\n","made":"adamant tree 1\nend 0\n"},
"config":{"files":"adamant tree 1\nf 0644 0 0 /etc/a size=2 sha256=87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7 link=/etc/a\nf 0644 0 0 /etc/b size=2 sha256=87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7 link=/etc/a\nl 0777 0 0 /etc/c target=a\nend 3\n","made":"adamant tree 1\nend 0\n"}}`

// FuzzRewrite looks for accepted streams that differ from the plan: the output must
// always be the same.
func FuzzRewrite(f *testing.F) {
	var p Plan
	if err := json.Unmarshal([]byte(fuzzPlan), &p); err != nil {
		f.Fatal(err)
	}
	expected, err := p.expected(ConfigLayer)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var out bytes.Buffer
		if err := rewrite(expected, bytes.NewReader(stream), &out); err != nil {
			return
		}
		i := 0
		want := []string{"etc/", "etc/a", "etc/b", "etc/c"}
		for in := tar.NewReader(&out); ; i++ {
			h, err := in.Next()
			if err == io.EOF {
				break
			}
			must(t, err)
			if i == len(want) || h.Name != want[i] || h.Uid != 0 || h.Mode > 0o777 || len(h.PAXRecords) > 0 {
				t.Fatalf("entry %d is %+v", i, h)
			}
		}
		if i != len(want) {
			t.Fatalf("%d entries", i)
		}
	})
}

// FuzzPlan looks for accepted plans of which no image or no valid manifest can be
// made.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(fuzzPlan))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p Plan
		if json.Unmarshal(text, &p) != nil || p.check(BuildOptions{MaxBytes: 1 << 20, MaxEntries: 1000}) != nil {
			return
		}
		for _, name := range []string{PackagesLayer, ConfigLayer} {
			entries, err := p.expected(name)
			must(t, err)
			var files []image.File
			for e := range entries.All() {
				if e.Kind != tree.Regular {
					files = append(files, image.File{Entry: e})
				}
			}
			layer, err := image.NewLayer(files...)
			must(t, err)
			img, err := image.New(image.Config{}, layer)
			must(t, err)
			if _, findings, err := image.Flatten(t.Context(), img, image.FlattenOptions{}); err != nil || len(findings) > 0 {
				t.Fatalf("layer %s: %v %v", name, findings, err)
			}
		}
	})
}

// The size of a server's answer bounds the memory that it takes.
func TestHostilePlansAndData(t *testing.T) {
	if _, err := ParsePlan([]byte(fuzzPlan)); err != nil {
		t.Error(err)
	}
	if _, err := ParsePlan([]byte(`{"losses":[` + strings.Repeat("{},", 1<<20) + `{}]}`)); err == nil {
		t.Error("a million losses were taken")
	}
	for _, d := range []Data{{}, {Entries: -5, Bytes: -5}, {Entries: math.MaxInt, Bytes: math.MaxInt64}} {
		if o := d.Bounds(); o.MaxEntries <= 0 || o.MaxEntries > 5_000_000 || o.MaxBytes <= 0 || o.MaxBytes > 1<<40 {
			t.Errorf("%+v: bounds %+v", d, o)
		}
	}
	if o := (Data{Entries: 4, Bytes: 4}).Bounds(); o.MaxEntries != 10_005 || o.MaxBytes != 1<<30+5 {
		t.Errorf("bounds %+v", o)
	}
}
