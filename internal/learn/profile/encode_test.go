package profile

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

func example() Profile {
	return Profile{
		APIVersion: document.APIVersion, Kind: document.Profile, Name: "Pod/web", Runs: 2,
		Verdict: Weak, Weak: []string{"port 81 did not answer"}, Load: []string{"GET /", "psql -c 'select 1'"}, Duration: "1m30.5s",
		Containers: []Container{{
			Name: "db", Image: "postgres:16", Digest: "sha256:" + strings.Repeat("0", 64), Method: "ptrace", Command: []string{"postgres", "-D", "/var/lib/postgresql/data"},
			Writes: []Write{
				{Path: "/var/lib/postgresql/data", Ops: map[trace.Op]int{trace.Chmod: 1}, By: []string{"/usr/bin/initdb"}, UIDs: []uint32{999}},
				{Path: "/run/app.pid", Ops: map[trace.Op]int{trace.Write: 1, trace.Create: 1}, Seen: 2, Bytes: 3},
			},
			Volumes: []Volume{
				{MountPath: "/var/lib/postgresql/data", SubPath: "data", CopyUp: true, SizeLimit: "256Mi", Mode: 0o700, UID: 999, GID: 999, Need: Hard, Used: 8192, Durable: "Postgres keeps its data here"},
				{MountPath: "/run", CopyUp: true, Medium: memory, SizeLimit: "16Mi", Why: []string{"create, write /run/app.pid by app"}},
			},
			Evidence: []Failure{{Access: trace.Access{Op: trace.Create, Path: "/run/yes", Errno: "EROFS", Count: 1}, Reason: "on"}},
		}},
	}
}

func TestMarshal(t *testing.T) {
	got, err := example().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	back, err := Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(back, example().sorted(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read back (-got +want):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	good, err := example().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, new, want string }{
		{"another kind", "kind: Profile", "kind: Pod", "begins with apiVersion: adamant.sh/v1 and kind: Profile"},
		{"an unknown field", "name: db", "name: db\n    nmae: x", `unknown field "nmae"`},
		{"a field twice", "runs: 2", "runs: 2\nruns: 3", `"runs" already set`},
		{"negative runs", "runs: 2", "runs: -1", "runs: -1 is negative"},
		{"a verdict there is not", "verdict: weak", "verdict: good", `verdict: "good" is none of proven, weak and unproven`},
		{"a scope there is not", "verdict: weak", "scope: all", `scope: "all" is neither empty nor image`},
		{"no duration", "duration: 1m30.5s", "duration: 90", `duration: "90" is no duration such as 1m30s`},
		{"a negative number of runs in which a path was seen", "seen: 2", "seen: -2", "seen: -2 is negative"},
		{"an operation there is not", "chmod: 1", "chmode: 1", `containers[0] (db): writes[1].ops: no such operation as "chmode"`},
		{"a relative path", "mountPath: /run", "mountPath: run", `volumes[0].mountPath: "run" is not absolute`},
		{"a volume at the root", "mountPath: /run", "mountPath: /", "no volume can be mounted at /"},
		{"a volume in the kernel's", "mountPath: /run", "mountPath: /proc/x", "no volume can be mounted at /proc/x"},
		{"volumes in one another", "mountPath: /run", "mountPath: /var/lib", "leave the inner one out"},
		{"a path for a name", "subPath: data", "subPath: a/b", `subPath: "a/b" is not one name`},
		{"less than nothing", "used: 8192", "used: -1", "used: -1 is negative"},
		{"a medium there is not", "medium: Memory", "medium: memory", `medium: "memory" is neither empty nor Memory`},
		{"no quantity", "sizeLimit: 16Mi", "sizeLimit: 16 MB", `sizeLimit: "16 MB" is no quantity such as 64Mi`},
		{"a mode too large", `mode: 0700`, "mode: 070000", "more than 07777"},
		{"a need there is not", "need: hard", "need: yes", "need"},
		{"a manifest", "kind: Profile", "kind: Pod\nspec: {}", `kind "Pod": a profile begins with`},
		{"not YAML", "kind: Profile", "kind: [", "parse profile"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(string(good), tc.old, tc.new, 1)
			if text == string(good) {
				t.Fatalf("%q is not in\n%s", tc.old, good)
			}
			_, err := Parse([]byte(text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one with %q", err, tc.want)
			}
		})
	}
	if _, err := Parse(make([]byte, MaxFile+1)); err == nil {
		t.Error("reads a file of any size")
	}
}

// People quote an octal mode, as YAML 1.2 has no other way to write one.
func TestModeInQuotes(t *testing.T) {
	good, err := example().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse([]byte(strings.Replace(string(good), "mode: 0700", `mode: "0700"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, example().sorted()); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if _, err := Parse([]byte(strings.Replace(string(good), "mode: 0700", `mode: "0x"`, 1))); err == nil || !strings.Contains(err.Error(), "no octal number") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	good, err := example().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("apiVersion: adamant.sh/v1\nkind: Profile\ncontainers: [{name: \"yes\", writes: [{path: /a, ops: {}}], volumes: [{mountPath: \"/~\"}]}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			return
		}
		text, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, text)
		}
		if diff := cmp.Diff(again, p); diff != "" {
			t.Fatalf("read back (-got +want):\n%s\n%s", diff, text)
		}
		if twice, _ := again.Marshal(); string(twice) != string(text) {
			t.Fatalf("written twice:\n%s\n%s", text, twice)
		}
	})
}
