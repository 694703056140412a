package seal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChanges(t *testing.T) {
	for _, tt := range []struct {
		name, before, after string
		want                []string // in order
	}{
		{"the same", "a: {b: [1, 2]}", "a:\n  b:\n  - 1\n  - 2", nil},
		{"null is a missing field", "a: null", "b: null", nil},
		{"each field of a new security context", "spec: {containers: [{name: c}]}",
			"spec: {containers: [{name: c, securityContext: {a: 1, b: 2}}]}",
			[]string{"spec.containers[c].securityContext.a = 1", "spec.containers[c].securityContext.b = 2"}},
		{"a new field as a whole", "{}", "volume: {emptyDir: {}}", []string{`volume = {"emptyDir":{}}`}},
		{"a field that is gone", "a: 1", "{}", []string{"a -"}},
		{"another type", "a: 1", "a: '1'", []string{`a = "1"`}},
		{"volumes in another order", "volumes: [{name: a}, {name: b}]", "volumes: [{name: b}, {name: a}]", nil},
		{"containers in another order", "containers: [{name: a}, {name: b}]", "containers: [{name: b}, {name: a}]",
			[]string{"containers order b a"}},
		{"a container in front", "initContainers: [{name: a}]", "initContainers: [{name: b}, {name: a}]",
			[]string{`initContainers + {"name":"b"} after `}},
		{"a container behind", "initContainers: [{name: a}]", "initContainers: [{name: a}, {name: b}]",
			[]string{`initContainers + {"name":"b"} after a`}},
		{"a volume", "{}", "volumes: [{name: a}]", []string{`volumes + {"name":"a"}`}},
		{"a volume less", "volumes: [{name: a}]", "volumes: null", []string{"volumes = null"}},
		{"another volume", "volumes: [{name: a}]", "volumes: [{name: b}]",
			[]string{`volumes + {"name":"b"}`, "volumes[a] -"}},
		{"two volumes of a name", "volumes: [{name: a}]", "volumes: [{name: a}, {name: a}]",
			[]string{`volumes = [{"name":"a"},{"name":"a"}]`}},
		{"a list without a key", "args: [a, b]", "args: [a, c]", []string{`args[1] = "c"`}},
		{"a longer list", "args: [a]", "args: [a, c]", []string{`args = ["a","c"]`}},
		{"a key with a dot", "a: {b.c: 1}", "a: {b.c: 2}", []string{`a.["b.c"] = 2`}},
		{"no YAML", "a: [", "a: ]", []string{` = "a: ]"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := changes{}
			c.add(0, "", decode([]byte(tt.before)), decode([]byte(tt.after)))
			var got []string
			for _, one := range c.sorted() {
				got = append(got, one.path+" "+one.what)
			}
			if d := cmp.Diff(got, tt.want); d != "" {
				t.Errorf("(-got +want):\n%s", d)
			}
		})
	}
}
