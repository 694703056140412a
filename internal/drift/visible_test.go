package drift

import (
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestVisible(t *testing.T) {
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
			got := Visible(tt.text)
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
			if again := Visible(got); again != got || !utf8.ValidString(got) {
				t.Errorf("%q becomes %q", got, again)
			}
		})
	}
}
