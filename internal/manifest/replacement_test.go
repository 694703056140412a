package manifest

import (
	"strings"
	"testing"
)

// apply applies replacements as a reader of them would: by lines and columns.
func apply(t *testing.T, text string, list []Replacement) string {
	t.Helper()
	offset := func(line, column int) int {
		at := 0
		for range line - 1 {
			at += strings.IndexByte(text[at:], '\n') + 1
		}
		return at + len(string([]rune(text[at:])[:column-1]))
	}
	for i := len(list) - 1; i >= 0; i-- {
		r := list[i]
		text = text[:offset(r.Line, r.Column)] + r.Text + text[offset(r.EndLine, r.EndColumn):]
	}
	return text
}

func TestReplacements(t *testing.T) {
	const field = "spec.containers[0].securityContext.readOnlyRootFilesystem"
	for name, tt := range map[string]struct{ text, want string }{
		"missing": {
			"kind: Pod\nspec:\n  containers:\n  - name: ü # first\n    image: i\n  hostPID: true\n",
			"kind: Pod\nspec:\n  containers:\n  - name: ü # first\n    image: i\n    securityContext:\n      readOnlyRootFilesystem: true\n  hostPID: true\n",
		},
		"false": {
			"# a\nkind: Pod\nspec:\n  containers:\n  - name: ü\n    securityContext: {a: ü, readOnlyRootFilesystem: false} # why\n",
			"# a\nkind: Pod\nspec:\n  containers:\n  - name: ü\n    securityContext: {a: ü, readOnlyRootFilesystem: true} # why\n",
		},
		"null": {
			"kind: Pod\nspec:\n  containers:\n  - securityContext:\n    name: a\n",
			"kind: Pod\nspec:\n  containers:\n  - securityContext:\n      readOnlyRootFilesystem: true\n    name: a\n",
		},
		"JSON": {
			`{"kind": "Pod", "spec": {"containers": [{"name": "ü"}]}}`,
			`{"kind": "Pod", "spec": {"containers": [{"name": "ü", "securityContext": {"readOnlyRootFilesystem": true}}]}}`,
		},
		"item of a list": {
			"kind: List\nitems:\n- kind: Pod\n  spec:\n    containers:\n    - name: a\n- kind: Service\n",
			"kind: List\nitems:\n- kind: Pod\n  spec:\n    containers:\n    - name: a\n      securityContext:\n        readOnlyRootFilesystem: true\n- kind: Service\n",
		},
		"alias":        {"kind: Pod\nspec:\n  a: &a {name: x}\n  containers:\n  - *a\n", ""},
		"alias beside": {"kind: Pod\na: &a {name: x}\nb: *a\nspec:\n  containers:\n  - name: x\n", ""},
		"no mapping":   {"kind: Pod\nspec: [a]\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			const before = 7 // lines
			d := ReadDocuments("x.yaml", 1+before, []byte(tt.text))[0]
			list := d.Replacements([]Setting{{&d.Objects[0], "spec", "no mapping"}, {&d.Objects[0], field, true}, {&d.Objects[0], "spec.hostPID", false}})[1]
			if tt.want == "" {
				if list != nil {
					t.Errorf("got %+v", list)
				}
				return
			}
			whole := strings.Repeat("#\n", before)
			if got, ok := strings.CutPrefix(apply(t, whole+tt.text, list), whole); !ok || got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	broken := ReadDocuments("x.yaml", 1, []byte("a: ["))[0]
	if list := broken.Replacements([]Setting{{&Resource{}, field, true}}); list[0] != nil || broken.Size() != 0 {
		t.Error("a document that was not understood can be edited")
	}
}
