package overlay_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
)

// BenchmarkDrift reads 10 changes from an overlay. bench/drift does the same with an
// image of 100,000 files; the time must not depend on the number of files.
func BenchmarkDrift(b *testing.B) {
	dir := b.TempDir()
	l := &lab{t: b, dir: dir, lower: []string{dir + "/lower"}}
	for i := range 1000 {
		write(b, fmt.Sprintf("%s/lower/usr/share/d%02d/e/f%02d", dir, i/20, i%20), "some content\n")
	}
	l.mountAt(l.mkdir("merged"))
	defer l.unmount()
	for i := range 5 {
		write(b, l.path(fmt.Sprintf("usr/share/d%02d/e/f00", i)), "other content\n")
		must(b, os.Remove(l.path(fmt.Sprintf("usr/share/d%02d/e/f01", i+5))))
	}
	m, err := overlay.FindDir(l.merged)
	must(b, err)
	for b.Loop() {
		r, err := inspect.Overlay(context.Background(), m)
		if err != nil || len(r.Changes) != 10 {
			b.Fatal(len(r.Changes), err)
		}
	}
}
