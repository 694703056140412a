package manifest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestApply edits the spec of a pod. The cases leave out the lines before it.
func TestApply(t *testing.T) {
	const head = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n"
	annotation := func(w Workload) Op { return w.Annotate("adamant.sh/x", "y") }
	readOnly := func(w Workload) Op { return w.Set("spec.containers[0].securityContext.readOnlyRootFilesystem", true) }
	volume := func(w Workload) Op { return w.Append("spec.volumes", Fields{{"name", "v"}, {"emptyDir", Fields{}}}) }
	first := func(w Workload) Op {
		return w.Prepend("spec.initContainers", Fields{{"name", "i"}, {"image", "j"}})
	}
	hostname := func(value any) func(Workload) Op {
		return func(w Workload) Op { return w.Set("spec.hostname", value) }
	}
	tests := []struct {
		name, before, after string
		ops                 []func(Workload) Op
	}{
		{"nothing to do", "  containers: [{name: a, image: b, securityContext: {readOnlyRootFilesystem: yes}}]\n", "", []func(Workload) Op{readOnly}},
		{"a scalar with a comment", "  hostname:   old   # why\n  containers: [{name: a, image: b}]\n", "  hostname:   new   # why\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{hostname("new")}},
		{"quotes stay", "  hostname: 'old'\n  containers: [{name: a, image: b}]\n", "  hostname: 'new'\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{hostname("new")}},
		{"double quotes stay", "  hostname: \"o\\x6cd\"\n  containers: [{name: a, image: b}]\n", "  hostname: \"new\"\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{hostname("new")}},
		{"text that looks like a number", "  hostname:\n  containers: [{name: a, image: b}]\n", "  hostname: \"1e3\"\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{hostname("1e3")}},
		{"set twice", "  containers: [{name: a, image: b}]\n", "  containers: [{name: a, image: b}]\n  hostname: c\n", []func(Workload) Op{hostname("b"), hostname("c")}},
		{"a null", "  volumes: ~\n  containers: [{name: a, image: b}]\n", "  volumes:\n  - name: v\n    emptyDir: {}\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{volume}},
		{"dashes in line with the key", "  containers:\n  - name: a\n    image: b\n", "  containers:\n  - name: a\n    image: b\n    securityContext:\n      readOnlyRootFilesystem: true\n  volumes:\n  - name: v\n    emptyDir: {}\n", []func(Workload) Op{volume, readOnly}},
		{"dashes below the key", "  containers:\n   -  name: a\n      image: b\n", "  containers:\n   -  name: a\n      image: b\n  volumes:\n   -  name: v\n      emptyDir: {}\n", []func(Workload) Op{volume}},
		{"no newline at the end", "  containers:\n  - name: a\n    image: b", "  containers:\n  - name: a\n    image: b\n  hostname: c", []func(Workload) Op{hostname("c")}},
		{"before a list with comments", "  initContainers: # all\n  # one\n  - {name: x, image: z}\n  containers: [{name: a, image: b}]\n", "  initContainers: # all\n  - name: i\n    image: j\n  # one\n  - {name: x, image: z}\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{first}},
		{"before a flow list", "  initContainers: [{name: x, image: z}]\n  containers: [{name: a, image: b}]\n", "  initContainers: [{name: i, image: j}, {name: x, image: z}]\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{first}},
		{"a trailing comma", "  containers: [{name: a, image: b}]\n  volumes: [{name: w}, ]\n", "  containers: [{name: a, image: b}]\n  volumes: [{name: w}, {name: v, emptyDir: {}}, ]\n", []func(Workload) Op{volume}},
		{"a flow list on lines", "  volumes: [\n    {name: w} # w\n  ]\n  containers: [{name: a, image: b}]\n", "  volumes: [\n    {name: w}, # w\n    {name: v, emptyDir: {}}\n  ]\n  containers: [{name: a, image: b}]\n", []func(Workload) Op{volume}},
		{"quoted keys", "  containers: [{\"name\": \"a\", \"image\": \"b\"}]\n", "  containers: [{\"name\": \"a\", \"image\": \"b\", \"securityContext\": {\"readOnlyRootFilesystem\": true}}]\n", []func(Workload) Op{readOnly}},
		{"behind a literal", "  containers:\n  - name: a\n    image: b\n    args:\n    - |\n      # text\n\n      text\n\n\n", "  containers:\n  - name: a\n    image: b\n    args:\n    - |\n      # text\n\n      text\n    securityContext:\n      readOnlyRootFilesystem: true\n\n\n", []func(Workload) Op{readOnly}},
		{"behind a literal that keeps its end", "  containers:\n  - name: a\n    image: b\n    args:\n    - |+2\n        # text\n\n\n", "  containers:\n  - name: a\n    image: b\n    args:\n    - |+2\n        # text\n\n\n    securityContext:\n      readOnlyRootFilesystem: true\n", []func(Workload) Op{readOnly}},
		{"behind folded text", "  containers:\n  - image: b\n    name:\n      a\n    args: [\"x\n      # y\", 'it''s\n      z',\n      plain text\n      here]\n", "  containers:\n  - image: b\n    name:\n      a\n    args: [\"x\n      # y\", 'it''s\n      z',\n      plain text\n      here]\n    securityContext:\n      readOnlyRootFilesystem: true\n", []func(Workload) Op{readOnly}},
		{"comments of the container", "  containers:\n  - name: a\n    image: b\n    # of the container\n  # of the pod\n# of the file\n", "  containers:\n  - name: a\n    image: b\n    # of the container\n    securityContext:\n      readOnlyRootFilesystem: true\n  # of the pod\n  hostname: c\n# of the file\n", []func(Workload) Op{readOnly, hostname("c")}},
		{"a comment of the next key", "  volumes:\n  - name: w\n  # the container\n  containers:\n  - name: a\n    image: b\n", "  volumes:\n  - name: w\n  - name: v\n    emptyDir: {}\n  # the container\n  containers:\n  - name: a\n    image: b\n", []func(Workload) Op{volume}},
		{"an anchor that nothing refers to", "  containers:\n  - &a\n    name: a\n    image: b\n", "  containers:\n  - &a\n    name: a\n    image: b\n    securityContext:\n      readOnlyRootFilesystem: true\n", []func(Workload) Op{readOnly}},
		{"a merged scalar", "  containers:\n  - &a {name: a, image: b, tty: true}\n  - <<: *a\n    name: c\n", "  containers:\n  - &a {name: a, image: b, tty: true}\n  - <<: *a\n    name: c\n    tty: false\n", []func(Workload) Op{func(w Workload) Op { return w.Set("spec.containers[1].tty", false) }}},
		{"an annotation", "  containers: [{name: a, image: b}]\n", "ANNOTATED  containers: [{name: a, image: b}]\n", []func(Workload) Op{annotation}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("x", []byte(head+tt.before))
			if err != nil {
				t.Fatal(err)
			}
			var ops []Op
			for _, op := range tt.ops {
				ops = append(ops, op(f.Workloads()[0]))
			}
			got, err := f.Apply(ops...)
			if err != nil {
				t.Fatal(err)
			}
			want := head + tt.after
			if tt.after == "" {
				want = head + tt.before
			}
			if rest, ok := strings.CutPrefix(tt.after, "ANNOTATED"); ok {
				want = strings.Replace(head, "name: a\n", "name: a\n  annotations:\n    adamant.sh/x: \"y\"\n", 1) + rest
			}
			if diff := cmp.Diff(string(got), want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if string(f.data) != head+tt.before {
				t.Error("the file itself is changed")
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	readOnly := func(w Workload) Op { return w.Set("spec.containers[0].securityContext.readOnlyRootFilesystem", true) }
	tests := []struct {
		name, text string
		op         func(Workload) Op
		want       string
	}{
		{"an alias", podSpec("initContainers: [{name: b, image: i, securityContext: &s {}}]") + "---\n" + strings.Replace(pod("ports: &p []", "env: *p"), "web", "b", 1), func(w Workload) Op { return w.Append("spec.containers[0].env", Fields{{"name", "A"}}) },
			"x:17:10: spec.containers[0].env: it is written by way of the alias *p (write the value out instead of the alias)"},
		{"an anchor", pod("securityContext: &s {}", "lifecycle: *s"), readOnly,
			"x:9:22: spec.containers[0].securityContext: it has the anchor &s, whose aliases would change too (write the value out instead of the aliases)"},
		{"a merged mapping", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  initContainers:\n  - &base\n    name: b\n    image: i\n    securityContext: {runAsUser: 1}\n  containers:\n  - <<: *base\n    name: c\n", readOnly,
			"x:9:5: spec.containers[0].securityContext: it comes from a merge key (<<) (write the value out where it is merged)"},
		{"an explicit key", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - ? name\n    : a\n    ? image\n    : b\n", readOnly,
			"x:6:5: cannot edit here: this form of block is not understood well enough (write it in the usual way: one key a line, indented with blanks)"},
		{"a list", pod(), func(w Workload) Op { return w.Set("spec.containers", "x") },
			"x:6:3: spec.containers: it is already set, to a list"},
		{"no such item", pod(), func(w Workload) Op { return w.Set("spec.containers[1].image", "x") },
			"x:7:3: spec.containers[1]: there is no item 1"},
		{"a block scalar", pod("workingDir: |-", "  /srv"), func(w Workload) Op { return w.Set("spec.containers[0].workingDir", "/x") },
			"x:9:17: spec.containers[0].workingDir: cannot replace a value that is written as a block, with a tag or with an anchor (write it as a plain value)"},
		{"a mapping in the way", pod(), func(w Workload) Op { return w.Set("spec.containers.image", "x") },
			"x:7:3: spec.containers.image: only fields of a mapping can be set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("x", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			list := f.Workloads()
			_, err = f.Apply(tt.op(list[len(list)-1]))
			var refused Errors
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want Errors", err)
			}
			if diff := cmp.Diff(err.Error(), tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

// TestApplyVerifies checks that a result which is not a valid manifest is not
// returned.
func TestApplyVerifies(t *testing.T) {
	f, err := Parse("x", []byte(pod()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Apply(f.Workloads()[0].Append("spec.volumes", Fields{{"nme", "a"}}))
	if err == nil || !strings.Contains(err.Error(), "did you mean name?") {
		t.Errorf("got %v", err)
	}
}

func TestSealOptions(t *testing.T) {
	text := podSpec("securityContext: {runAsNonRoot: true}", "volumes: [{name: tmp, emptyDir: {}}]", "initContainers: [{name: b, image: j}]")
	f, err := Parse("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	long := "/" + strings.Repeat("very/long/", 9)
	ops, err := Sealing(f.Workloads()[0], []ContainerPlan{
		{Container: "a", Mounts: []MountPlan{{MountPath: "/tmp"}, {MountPath: "/tmp/a"}, {MountPath: long + "x", CopyUp: true, KeepOwners: true}, {MountPath: long + "y"}}},
		{Container: "b", Mounts: []MountPlan{
			{MountPath: "/tmp"},
			{MountPath: "/var/lib/db", SubPath: "data", CopyUp: true, Mode: 0o700, UID: 5, GID: 6, KeepOwners: true},
			{MountPath: "/etc/passwd", SubPath: "passwd", CopyUp: true, File: true},
		}},
	}, SealOptions{Form: ImageVolume, Image: "mirror/copy-up"})
	if err != nil {
		t.Fatal(err)
	}
	edited, err := f.Apply(ops...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("x", edited)
	if err != nil {
		t.Fatal(err)
	}
	spec := got.Workloads()[0].Template.Spec
	var volumes []string
	for _, v := range spec.Volumes {
		volumes = append(volumes, v.Name)
		if len(v.Name) > 63 {
			t.Errorf("%s is too long", v.Name)
		}
	}
	want := []string{"tmp", "tmp-a", "tmp-a-a", "very-long-very-long-very-long-very-long-very-long-very-834b0e23", "very-long-very-long-very-long-very-long-very-long-very-a4ece536", "image-a", "tmp-b", "var-lib-db", "etc-passwd", "image-b"}
	if diff := cmp.Diff(volumes, want); diff != "" {
		t.Errorf("volumes (-got +want):\n%s", diff)
	}
	var inits [][]string
	for _, c := range spec.InitContainers {
		inits = append(inits, append([]string{c.Name, c.Image}, c.Command...))
	}
	wantInits := [][]string{
		{"adamant-copy-up-a", "mirror/copy-up", "/adamant", "copy-up", "--from", "/image", "--to", "/volumes", long + "x"},
		{"adamant-copy-up-b", "mirror/copy-up", "/adamant", "copy-up", "--from", "/image", "--to", "/volumes", "/var/lib/db:subpath=data,mode=0700,uid=5,gid=6", "/etc/passwd:subpath=passwd,file"},
		{"b", "j"},
	}
	if diff := cmp.Diff(inits, wantInits); diff != "" {
		t.Errorf("init containers (-got +want):\n%s", diff)
	}
	if m := spec.InitContainers[2].VolumeMounts[1]; m.MountPath != "/var/lib/db" || m.SubPath != "data" {
		t.Errorf("got %+v", m)
	}
	if s := spec.InitContainers[1].SecurityContext; *s.RunAsNonRoot || *s.RunAsUser != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestSealRefuses(t *testing.T) {
	f, err := Parse("x", []byte(pod()))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		plan ContainerPlan
		want string
	}{
		{ContainerPlan{Container: "x"}, `seal Pod default/web: there is no container "x"`},
		{ContainerPlan{Container: "web", Mounts: []MountPlan{{MountPath: "/"}}}, `seal Pod default/web: container web: cannot mount at "/": want an absolute, clean path`},
		{ContainerPlan{Container: "web", Mounts: []MountPlan{{MountPath: "/a:b"}}}, `seal Pod default/web: container web: cannot mount at "/a:b": Kubernetes allows no colon in it`},
		{ContainerPlan{Container: "web", Mounts: []MountPlan{{MountPath: "/a", SubPath: "../b"}}}, `seal Pod default/web: container web: mount at /a: subpath "../b" leaves its volume`},
		{ContainerPlan{Container: "web", Mounts: []MountPlan{{MountPath: "/a", File: true}}}, `seal Pod default/web: container web: mount at /a: a file needs a name in its volume and must be copied there`},
	} {
		if _, err := Sealing(f.Workloads()[0], []ContainerPlan{tt.plan}, SealOptions{}); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
