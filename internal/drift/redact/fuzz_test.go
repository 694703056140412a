package redact

import (
	"strings"
	"testing"
)

// The redactor never fails, keeps the number of lines, and shows nothing of a text that
// it redacted before that it hid then.
func FuzzVersions(f *testing.F) {
	for _, s := range []string{
		"password: |\n  a\nb: 1\n", `{"password": ["x", {"a": 1}], "k": "v"}`, "<a password='x'><b>y</b></a>",
		"a=\"\"\"\nx\n\"\"\"\n", "pass\\\nword=x\n", "x: &a y\npassword: *a\n", "a,password\n1,2\n", "-----BEGIN PRIVATE KEY-----\nx\n",
		"[secrets]\na=b\n", "token=$(cat <<E\nx\nE\n)\n", "\xff\xfe: \u200bpassword：x", "kind: Secret\ndata: {a: b}\n",
	} {
		f.Add("/x.yaml", s, "")
		f.Add("/x.json", s, "a")
		f.Add("/x.xml", "", s)
		f.Add("/x.csv", s, s)
		f.Add("/x", s, "x\n"+s)
	}
	f.Fuzz(func(t *testing.T, name, before, after string) {
		if len(before)+len(after) > 64<<10 {
			return
		}
		Withheld(name, before)
		a, b := Versions(name, before, after)
		for _, text := range []*Text{a, b} {
			lines := strings.Split(text.content, "\n")
			if len(lines) != len(text.starts) {
				t.Fatalf("%d lines, want %d", len(text.starts), len(lines))
			}
			for i, line := range lines {
				got := text.Line(i)
				if strings.Contains(got, "\n") {
					t.Errorf("line %d is shown as several: %q", i, got)
				}
				if !strings.Contains(got, "[redacted ") && got != line {
					t.Errorf("line %d: %q is shown as %q", i, line, got)
				}
			}
		}
	})
}

func TestLineIsIdempotent(t *testing.T) {
	for _, s := range []string{
		"password=hunter2", `{"api_key": "abc", "n": 1}`, "postgres://app:hunter2@db/x", "requirepass foobared", "mysql --password a -h x",
		"<password>x</password>", "u:$6$salt$abcdefgh:1", "curl -u bob:hunter2 https://x", "Authorization: Bearer abcdefgh12", "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
		"-----BEGIN PRIVATE KEY-----", "secret key is aB3dE5", "password='a b' x=1",
	} {
		once := Line(s)
		if once == s {
			t.Errorf("%q is not redacted", s)
		}
		if twice := Line(once); twice != once {
			t.Errorf("%q becomes %q, and then %q", s, once, twice)
		}
	}
}

// A hostile text costs no more than its size allows.
func BenchmarkVersions(b *testing.B) {
	const size = 256 << 10
	for name, part := range map[string]string{
		"assignments": "key=1 key=a.b ", "quotes": `"a","b",`, "calls": "pw(pw(", "nested json": `{"a":[`, "separators": "= = = ", "words": "the password of x ",
		"tags": "<a b='c'>", "arguments": "--pw 'x ", "flow": "{a: [", "yaml": "- a: b\n  password: c\n", "rules": "curl mysql ghp_ glpat- xoxb- akia docker ", "commas": "password=a,b,",
		"continued": "a=b\\\n", "indented": "password:\n  a:\n", "at": "a:b@c:d@", "slashes": "://a:b/", "backslashes": `\u0061=`,
	} {
		text := strings.Repeat(part, size/len(part))
		for _, ext := range []string{"", ".json", ".yaml", ".xml"} {
			b.Run(name+ext, func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					newText("/x"+ext, text)
				}
			})
		}
	}
}
