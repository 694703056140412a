package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRaw(t *testing.T) {
	f, err := Parse("list.yaml", []byte(`
apiVersion: v1
kind: ConfigMapList
items:
- metadata: {name: a}
  data: &data {key: value}
- metadata: {name: b}
  data: *data
---
apiVersion: example.test/v1
kind: Thing
metadata: {name: c}
size: 3
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Raw()
	if err != nil {
		t.Fatal(err)
	}
	settings := func(name string) map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": name}, "data": map[string]any{"key": "value"},
		}
	}
	want := []map[string]any{settings("a"), settings("b"), {
		"apiVersion": "example.test/v1", "kind": "Thing", "metadata": map[string]any{"name": "c"}, "size": int64(3),
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("objects (-want +got):\n%s", d)
	}
}
