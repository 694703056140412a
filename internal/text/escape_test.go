package text

import (
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestEscape(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"plain":         {"/etc/nginx", "/etc/nginx"},
		"letters":       {"/srv/größe 日本", "/srv/größe 日本"},
		"tab":           {"a\tb", "a\tb"},
		"escape":        {"\x1b[2Jgone", `\x1b[2Jgone`},
		"line break":    {"a\nb\r", `a\x0ab\x0d`},
		"delete":        {"a\x7f", `a\x7f`},
		"C1":            {"a\u009b2J", `a\u009b2J`},
		"right to left": {"a\u202egpj.exe", `a\u202egpj.exe`},
		"no width":      {"a\u200bb\ufeff", `a\u200bb\ufeff`},
		"separators":    {"a\u2028b", `a\u2028b`},
		"not UTF-8":     {"a\xff\xc3", `a\xff\xc3`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Escape(tt.text)
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
			if again := Escape(got); again != got || !utf8.ValidString(got) {
				t.Errorf("%q becomes %q", got, again)
			}
		})
	}
}

func TestEscapeLines(t *testing.T) {
	if diff := cmp.Diff(EscapeLines("größe\tof\nlines\r\n\x1b[2J"), "größe\tof\nlines\\x0d\n\\x1b[2J"); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestEscapeInvalid(t *testing.T) {
	if diff := cmp.Diff(EscapeInvalid("a\x1bb\u202e\xffc\n"), "a\x1bb\u202e\\xffc\n"); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestExcerpt(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string
	}{{"\x1bshort", `\x1bshort`}, {"longer than that", "longer t..."}} {
		if diff := cmp.Diff(Excerpt(tt.text, 8), tt.want); diff != "" {
			t.Errorf("-got +want\n%s", diff)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range []string{"no files", "1 file", "2 files"} {
		if got := Count(n, "file"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
