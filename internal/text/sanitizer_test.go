package text

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSanitizer(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"plain":                     {"größe\tof\nlines\n", "größe\tof\nlines\n"},
		"colours":                   {"\x1b[1;31mERROR\x1b[0m x\n", "\x1b[1;31mERROR\x1b[0m x\x1b[0m\n"},
		"24-bit colour":             {"\x1b[38;2;255;100;0mx\n", "\x1b[38;2;255;100;0mx\x1b[0m\n"},
		"colon in a colour":         {"\x1b[4:3mx\n", "\x1b[4:3mx\x1b[0m\n"},
		"colour that is left set":   {"\x1b[8mhidden\nnext", "\x1b[8mhidden\x1b[0m\nnext"},
		"colour of the last line":   {"\x1b[31mx", "\x1b[31mx\x1b[0m"},
		"cursor":                    {"a\x1b[2A\x1b[2Kb", `a\x1b[2A\x1b[2Kb`},
		"private mode":              {"\x1b[?1049h\x1b[>4;2m", `\x1b[?1049h\x1b[>4;2m`},
		"clipboard":                 {"\x1b]52;c;cm0gLXJmCg==\x07", `\x1b]52;c;cm0gLXJmCg==\x07`},
		"title":                     {"\x1b]0;title\x1b\\", `\x1b]0;title\x1b\`},
		"device control":            {"\x1bP+q544e\x1b\\", `\x1bP+q544e\x1b\`},
		"question to the terminal":  {"\x1b[6n\x1b[c\x05", `\x1b[6n\x1b[c\x05`},
		"C1 as UTF-8":               {"\u009b2J\u009d0;x\u009c", `\u009b2J\u009d0;x\u009c`},
		"C1 as one byte":            {"\x9b2J", `\x9b2J`},
		"back over the prefix":      {"\rweb/other | fake\b\b", `\x0dweb/other | fake\x08\x08`},
		"line ends of Windows":      {"a\r\nb\r\n", "a\nb\n"},
		"direction":                 {"a\u202egpj.exe", `a\u202egpj.exe`},
		"not UTF-8":                 {"a\xff\xc3", `a\xff\xc3`},
		"sequence without an end":   {"a\x1b[31", `a\x1b[31`},
		"escape alone":              {"a\x1b", `a\x1b`},
		"sequence that is too long": {"\x1b[" + repeat("1;", 40) + "m", `\x1b[` + repeat("1;", 40) + "m"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 1000} {
				s := Sanitizer{Colors: true}
				var got []byte
				for rest := []byte(tt.text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
					got = s.Append(got, rest[:min(size, len(rest))])
				}
				if diff := cmp.Diff(string(s.End(got)), tt.want); diff != "" {
					t.Errorf("in pieces of %d: -got +want\n%s", size, diff)
				}
			}
		})
	}
	plain := Sanitizer{}
	if got := string(plain.End(plain.Append(nil, []byte("\x1b[1;31mERROR\x1b[0m\n")))); got != "ERROR\n" {
		t.Errorf("without colours: %q", got)
	}
}

func repeat(s string, n int) (all string) {
	for range n {
		all += s
	}
	return all
}

func TestEscapeJSON(t *testing.T) {
	for in, want := range map[string]string{
		"größe\n":              "{\n \"x\": \"größe\\n\"\n}",
		"\x1b\x7f\u009b\ue000": "{\n \"x\": \"\\u001b\\u007f\\u009b\\ue000\"\n}",
		"\u202e\U000e0041":     "{\n \"x\": \"\\u202e\\udb40\\udc41\"\n}",
		"\uFFFD":               "{\n \"x\": \"\uFFFD\"\n}",
	} {
		document, err := json.MarshalIndent(map[string]string{"x": in}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got := EscapeJSON(document)
		if diff := cmp.Diff(string(got), want); diff != "" {
			t.Errorf("-got +want\n%s", diff)
		}
		var again map[string]string
		if err := json.Unmarshal(got, &again); err != nil || again["x"] != in {
			t.Errorf("%q becomes %q, %v", in, again["x"], err)
		}
	}
}
