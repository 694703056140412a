package text

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrap(t *testing.T) {
	for name, tt := range map[string]struct{ line, want string }{
		"short":           {"a short line", "a short line"},
		"exact":           {"exactly 20 columns.", "exactly 20 columns."},
		"words":           {"some words that do not fit", "some words that do\n    not fit"},
		"indent":          {"  ~ /etc/passwd  content, mode", "  ~ /etc/passwd\n      content, mode"},
		"cells":           {"web:1          sha256:1", "web:1\n    sha256:1"},
		"inner spaces":    {"a   b   c   d   e   f   g", "a   b   c   d   e\n    f   g"},
		"long word":       {"  + /a/path/that/is/longer/than/that  added", "  +\n/a/path/that/is/longer/than/that\n      added"},
		"word that fits":  {"  + /a/path/of/20/columns  added", "  +\n/a/path/of/20/columns\n      added"},
		"only a word":     {strings.Repeat("x", 30), strings.Repeat("x", 30)},
		"colours":         {"\x1b[1mbold\x1b[0m \x1b[31mred words that do not\x1b[0m", "\x1b[1mbold\x1b[0m \x1b[31mred words that\n    do not\x1b[0m"},
		"more than ASCII": {"größe größe größe größe", "größe größe größe\n    größe"},
		"tabs":            {"a\tb\tc", "a\tb\tc"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(Wrap(tt.line, 20), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestWrapWriter(t *testing.T) {
	var out bytes.Buffer
	w := NewWrapWriter(&out, 10)
	for _, c := range "one two three\nfour\nfive six seven" {
		if _, err := w.Write([]byte(string(c))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(out.String(), "one two\n    three\nfour\nfive six\n    seven"); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}
