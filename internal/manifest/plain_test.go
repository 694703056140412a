package manifest

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// comparePlain compares what parsePlain returns with what the YAML parser does. It
// returns false if parsePlain gives up.
func comparePlain(t *testing.T, data []byte) bool {
	t.Helper()
	got := parsePlain(data)
	if got == nil {
		return false
	}
	want, err := parseAnyYAML("x", newText(data), &Errors{})
	if err != nil || len(want) != 1 {
		t.Fatalf("accepted %q, which the YAML parser does not: %d documents, %v", data, len(want), err)
	}
	if !reflect.DeepEqual(got, want[0]) {
		t.Fatalf("%q (-got +want):\n%s", data, cmp.Diff(got, want[0], cmp.AllowUnexported(node{})))
	}
	return true
}

// TestPlain checks which documents are parsed without the YAML parser, with the same nodes.
func TestPlain(t *testing.T) {
	deployment := string(many(t, 1))
	for _, text := range []string{
		deployment,
		"a: b", "a: b\n", "\n# c\n---  # d\n\na: b # c\n  # d\nc: d#e  \n\n", "a:\n  b:\n    c: 1\n  d: 2\ne: 3\n",
		"- a\n- b: c\n  d: e\n-   f: g\n    h: i\n", "a:\n- b\n- c: d\ne: f\n", "a:\n  - b\n  - c: d\n    e:\n    - f\ng: h\n",
		"a: \"b: #c\" # d\nb: 'c \\ \" d'\nc: \"\"\nd: ''\n", "a: {}\nb: []\nc: {d: e, f: {g: 1}, h: [1, \"x,y\", '{', []]}  # i\n",
		"a: http://b:80/c?d=[e]&f\nb: c, d {e} !f *g\nc: -1\nd: .5\ne: --f\n", "a:\n  b:\n  - c\n\n\n  # d\n\n  d: e\n", "  a: b\n  c: d\n", "- a\n",
		"yes: true\n1: 2\na.b/c: d\n", "a: " + strings.Repeat("x", 1000) + "\n", "a: ---\nb: ...\n",
	} {
		if !comparePlain(t, []byte(text)) {
			t.Errorf("gave up on %q", text)
		}
	}
	for _, text := range []string{
		"", "\n", "# a\n", "---\n", "a", "a:\n", "a: b\n---\n", "a: b\n...\n", "a: b\n c\n", "a: b\n  c: d\n", "a: b: c\n", "a: b:\n", "a:b\n", "a: \"b\\n\"\n", "a: 'b''c'\n", "a: 'b\n  c'\n",
		"a: &b c\n", "a: *b\n", "a: !!str b\n", "a: |\n  b\n", "a: b\na: c\n", "a: {b: c, b: d}\n", "null: a\n", "<<: {a: b}\n", "a\t: b\n", "a: b\r\n", "\u00e4: b\n", "a: [b: c]\n", "a: {b}\n", "a: [b,]\n", "a: [b\n", "a: {b: c\n}\n",
		"a:\n- b\n c: d\n", "- a\nb: c\n", "a: - b\n", "- - a\n", "-\n  a\n", "a: b\n- c\n", "? a\n: b\n", "--- a: b\n", "---a: b\n", "%YAML 1.1\n---\na: b\n", "a: #b\n", "a: \"b\"c\n", "a: \"b\"#c\n", "a: {}#b\n",
		"a: @b\n", "a: `b\n", "a: %b\n", strings.Repeat("k", 2000) + ": a\n", "a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n",
	} {
		if comparePlain(t, []byte(text)) {
			t.Errorf("did not give up on %q", text)
		}
	}
}

// FuzzPlain checks that parsePlain and the YAML parser agree.
func FuzzPlain(f *testing.F) {
	addSeeds(f)
	f.Add(many(f, 1))
	for _, text := range []string{"a:\n- b\n- c: d\ne: f\n", "a: {b: c, d: [1, \"2\"]} # e\n", "# a\n---\na: 'b'\n\nb:\n  c: --d\n", "- a: b\n  c:\n  - d\n- e\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { comparePlain(t, data) })
}
