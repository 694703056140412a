package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

func TestWrote(t *testing.T) {
	c := Container{
		Volumes:  []Volume{{MountPath: "/run"}},
		Writes:   []Write{{Path: "/var/lib/x/*/log", Peers: []string{"/peer/new"}}},
		Refused:  []Write{{Path: "/refused/x"}},
		Spared:   []Write{{Path: "/spared/x"}},
		Unsolved: []Write{{Path: "/unsolved"}},
		Evidence: []Failure{{Access: trace.Access{Path: "/failed/x"}}},
		Mounts:   []Mounted{{Path: "/data", Written: true}, {Path: "/idle"}},
	}
	type answer struct{ wrote, known bool }
	for dir, want := range map[string]answer{
		"/run": {true, true}, "/var/run": {true, true}, "/run/deep": {false, true}, "/runs": {false, true},
		"/var/lib/x": {true, true}, "/var/lib/x/abc": {true, true}, "/var/lib/x/abc/other": {false, true}, "/var/lib/y": {false, true},
		"/peer": {true, true}, "/refused": {true, true}, "/spared": {true, true}, "/unsolved": {true, true}, "/failed": {true, true},
		"/data": {true, true}, "/data/below": {false, false}, "/idle": {false, true}, "/idle/below": {false, true}, "/other": {false, true},
	} {
		if wrote, known := c.Wrote(dir); (answer{wrote, known}) != want {
			t.Errorf("%s: got %v, %v, want %v", dir, wrote, known, want)
		}
	}
	c.Mounts = nil
	if wrote, known := c.Wrote("/other"); wrote || known {
		t.Errorf("without mounts: got %v, %v, want unknown", wrote, known)
	}
	if wrote, known := c.Wrote("/run"); !wrote || !known {
		t.Errorf("without mounts, at a volume: got %v, %v", wrote, known)
	}
}

// TestMounted checks which volumes of the manifest a profile has, and that they survive
// being written, read and merged.
func TestMounted(t *testing.T) {
	in := Input{
		Name: "c", Method: "ptrace",
		Traces: []trace.Trace{
			{Container: "c", Complete: true, Accesses: []trace.Access{{Op: trace.Create, Path: "/run/x/pid", Mount: "/run/x"}}},
			{Container: "other", Complete: true, Accesses: []trace.Access{{Op: trace.Create, Path: "/idle/x"}}},
		},
		Rootfs: Rootfs{Tree: imageOf(t, debian), Mounts: []Mount{
			{Path: "/var/run/x/", Volume: true}, {Path: "/idle", Volume: true}, {Path: "/config", Volume: true, ReadOnly: true}, {Path: "/proc"},
		}},
	}
	c := Derive(in)
	want := []Mounted{{Path: "/idle"}, {Path: "/var/run/x", Written: true}}
	if d := cmp.Diff(c.Mounts, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	if wrote, known := c.Wrote("/var/run/x"); !wrote || !known {
		t.Errorf("got %v, %v for a volume that it wrote to", wrote, known)
	}
	in.Method = "upperdir"
	if weak := Derive(in); weak.Mounts != nil {
		t.Errorf("without traces: got %v, want unknown", weak.Mounts)
	}
	for _, mounts := range [][]Mounted{nil, {}, want} {
		p := Profile{APIVersion: "adamant.sh/v1", Kind: "Profile", Containers: []Container{{Name: "c", Mounts: mounts}}}
		data, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		read, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(read.Containers[0].Mounts, mounts); d != "" {
			t.Errorf("read again (-got +want):\n%s", d)
		}
	}
	if got := mergeMounted(want, nil); got != nil {
		t.Errorf("merged with unknown ones: got %v", got)
	}
	merged := []Mounted{{Path: "/idle", Written: true}, {Path: "/var/run/x", Written: true}}
	if d := cmp.Diff(mergeMounted(want, []Mounted{{Path: "/idle", Written: true}}), merged); d != "" {
		t.Errorf("merged (-got +want):\n%s", d)
	}
}
