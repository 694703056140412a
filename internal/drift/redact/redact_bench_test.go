package redact

import (
	"strings"
	"testing"
)

func BenchmarkRedact(b *testing.B) {
	lines := map[string]string{
		"words":  strings.Repeat("the quick brown fox jumps over the lazy dog ", 186),
		"random": strings.Repeat("aB3xK9pQ7mZ2vN8tR4wY", 409),
		"code":   strings.Repeat(`function a(b,c){return b.password+c["x-y"]}var d={e:1,"f":'g'};`, 130),
	}
	for name, line := range lines {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				Line(line)
			}
		})
	}
}
