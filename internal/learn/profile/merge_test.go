package profile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/document"
)

func TestMergeVolumes(t *testing.T) {
	with := func(digest string, volumes ...Volume) Profile {
		return Profile{APIVersion: document.APIVersion, Kind: document.Profile, Name: "x", Runs: 1, Containers: []Container{
			{Name: "app", Digest: digest, Method: "ptrace", Volumes: volumes},
		}}
	}
	for _, tc := range []struct {
		name       string
		a, b, want []Volume
	}{
		{
			"apart",
			[]Volume{{MountPath: "/run"}}, []Volume{{MountPath: "/tmp"}},
			[]Volume{{MountPath: "/run"}, {MountPath: "/tmp"}},
		},
		{
			"one in the other",
			[]Volume{{MountPath: "/run/app", Medium: memory, SizeLimit: "1Gi", SubPath: "app", Mode: 0o700}},
			[]Volume{{MountPath: "/run", CopyUp: true, Medium: memory, SizeLimit: "16Mi"}},
			[]Volume{{MountPath: "/run", CopyUp: true, Medium: memory, SizeLimit: "1Gi"}},
		},
		{
			"the same",
			[]Volume{{MountPath: "/data", SizeLimit: "16Mi", Need: Silent, Medium: memory, Why: []string{"a"}}},
			[]Volume{{MountPath: "/data", SizeLimit: "1Gi", Need: Soft, CopyUp: true, SubPath: "data", Mode: 0o700, UID: 7, Why: []string{"a", "b"}}},
			[]Volume{{MountPath: "/data", SizeLimit: "1Gi", Need: Soft, CopyUp: true, SubPath: "data", Mode: 0o700, UID: 7, Why: []string{"a", "b"}}},
		},
		{
			"what two runs have shown of one",
			[]Volume{{MountPath: "/data", Used: 8192}}, []Volume{{MountPath: "/data", Used: 4096, Durable: "yes"}},
			[]Volume{{MountPath: "/data", Used: 8192, Durable: "yes"}},
		},
		{
			"what they have shown of one and of a part of it",
			[]Volume{{MountPath: "/data", Used: 8192}}, []Volume{{MountPath: "/data/a", Used: 4096, Durable: "yes"}},
			[]Volume{{MountPath: "/data", Used: 12288, Durable: "yes"}},
		},
		{
			"without a limit",
			[]Volume{{MountPath: "/data", SizeLimit: "16Mi"}}, []Volume{{MountPath: "/data"}},
			[]Volume{{MountPath: "/data"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Merge(with("sha256:1", tc.a...), with("", tc.b...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got.Containers[0].Volumes, tc.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if got.Runs != 2 || got.Containers[0].Digest != "sha256:1" {
				t.Errorf("%d runs of %s", got.Runs, got.Containers[0].Digest)
			}
		})
	}
	if _, err := Merge(with("sha256:1"), with("sha256:2")); err == nil || !strings.Contains(err.Error(), "learn it anew") {
		t.Errorf("error for two images is %v", err)
	}
}

func TestMergeForgetsWhatSucceeded(t *testing.T) {
	rootfs := Rootfs{Tree: imageOf(t, debian)}
	one := Derive(Input{Traces: traces(traceOf(t, "create /run/a app !EACCES\ncreate /run/b app !EACCES")), Rootfs: rootfs})
	two := Derive(Input{Traces: traces(traceOf(t, "create /run/a app")), Rootfs: rootfs})
	got := mergeContainers(one, two)
	if diff := cmp.Diff(pathsOf(got.Refused), []string{"/run/b"}); diff != "" {
		t.Errorf("refused (-got +want):\n%s", diff)
	}
}

// TestMergeAddsUpRuns checks that the verdict is that of the later profile, and
// that runs, their load and the runs in which a path was seen add up.
func TestMergeAddsUpRuns(t *testing.T) {
	run := func(p Profile, paths ...string) Profile {
		p.APIVersion, p.Kind, p.Name, p.Runs = document.APIVersion, document.Profile, "Pod/x", 1
		c := Container{Name: "app", Method: "ptrace"}
		for _, path := range paths {
			c.Writes = append(c.Writes, Write{Path: path, Seen: 1})
		}
		p.Containers = []Container{c}
		return p
	}
	later := run(Profile{Verdict: Proven, Duration: "12s", Load: []string{"GET /", "save"}}, "/run/a", "/run/b")
	earlier := run(Profile{Verdict: Weak, Weak: []string{"not exercised"}, Duration: "50s", Load: []string{"GET /"}}, "/run/a", "/run/c")
	got, err := Merge(later, earlier)
	if err != nil {
		t.Fatal(err)
	}
	want := Profile{APIVersion: document.APIVersion, Kind: document.Profile, Name: "Pod/x", Runs: 2,
		Verdict: Proven, Duration: "1m2s", Load: []string{"GET /", "save"}}
	seen := map[string]int{}
	for _, w := range got.Containers[0].Writes {
		seen[w.Path] = w.Seen
	}
	got.Containers = nil
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("profile (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(seen, map[string]int{"/run/a": 2, "/run/b": 1, "/run/c": 1}); diff != "" {
		t.Errorf("runs in which a path was seen (-got +want):\n%s", diff)
	}
}
