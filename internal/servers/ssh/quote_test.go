package ssh

import (
	"os/exec"
	"strings"
	"testing"
)

// A shell splits a quoted line into the original arguments.
func FuzzQuote(f *testing.F) {
	for _, text := range []string{"", "it's", "a b", `\'"$(id)`, "*\n?", "-n", "\xff\x01", "!!", "'''"} {
		f.Add(text, "second")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) || len(a+b) > 10000 {
			return // no shell takes a NUL byte
		}
		out, err := exec.Command("sh", "-c", quote([]string{"printf", `%s\n%s\n`, a, b})).Output()
		if err != nil || string(out) != a+"\n"+b+"\n" {
			t.Errorf("%q and %q become %q: %v", a, b, out, err)
		}
	})
}
