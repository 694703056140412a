package ssh

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// Output before the start is skipped and everything after it is kept, in whatever
// pieces it arrives and whatever parts of the texts are in it.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("HELLO\n"), []byte("output"), uint8(1))
	f.Add([]byte("o"), []byte("o"), uint8(3))
	f.Add([]byte(""), []byte(""), uint8(255))
	f.Fuzz(func(t *testing.T, noise, output []byte, size uint8) {
		fr := newFrame(nil)
		if i := len(noise) % len(fr.id); i > 0 { // the noise ends with the beginning of the text
			noise = append(bytes.Clone(noise), (letterStartOut + fr.id)[:i]...)
		}
		text := bytes.Join([][]byte{noise, []byte(letterGreeting + fr.id), noise, []byte(letterStartOut + fr.id), output}, nil)
		s := fr.scanner(letterStartOut)
		var got []byte
		var steps []step
		for piece := range pieces(text, int(size)+1) {
			for len(piece) > 0 && !s.isOpen {
				var found step
				if found, piece = s.feed(piece); found != stepNone {
					steps = append(steps, found)
				}
			}
			got = append(got, piece...)
		}
		if len(steps) != 2 || steps[0] != stepGreeted || steps[1] != stepStarted || !bytes.Equal(got, output) {
			t.Errorf("got %v and %q, want %q", steps, got, output)
		}
		if len(s.chatter) > maxChatter {
			t.Errorf("%d bytes are kept", len(s.chatter))
		}
	})
}

func pieces(text []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(text) > 0 {
			n := min(size, len(text))
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// sh runs exactly the script that a frame sends, after any other lines of input.
func FuzzScript(f *testing.F) {
	for _, text := range []string{"", "it's", `\0101 \n %s`, "a\nb!!\n", "\xff\x01\t", "$(id)`id`"} {
		f.Add(text, "\n")
	}
	f.Fuzz(func(t *testing.T, text, before string) {
		if strings.ContainsRune(text+before, 0) || len(text+before) > 10000 {
			return // no shell takes a NUL byte
		}
		fr := newFrame(nil)
		cmd := exec.Command("sh", "-c", fr.loginLine())
		line, _ := Command{Args: []string{"sh", "-c", `printf %s "$1"; cat`, "sh", text}}.line()
		cmd.Stdin = strings.NewReader(before + "\n" + fr.scriptLine(line) + "the rest")
		out, err := cmd.Output()
		_, got, _ := strings.Cut(string(out), letterStartOut+fr.id)
		if err != nil || got != text+"the rest" {
			t.Errorf("%q becomes %q: %v", text, got, err)
		}
	})
}
