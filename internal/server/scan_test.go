package server

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/adamant-sh/adamant/internal/tree"
)

// scannedRoot is what BenchmarkScan reads instead of a tree of its own.
const scannedRoot = "ADAMANT_BENCH_ROOT"

func benchmarkRoot(b *testing.B) *tree.Root {
	b.Helper()
	r, err := tree.OpenRoot(os.Getenv(scannedRoot))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	return r
}

func BenchmarkScan(b *testing.B) {
	root := benchmarkRoot(b)
	cache := filepath.Join(b.TempDir(), "cache")
	for _, bench := range []struct {
		name string
		opts ScanOptions
	}{
		{"first", ScanOptions{}},
		{"first, cached", ScanOptions{Cache: cache, Full: true}},
		{"again", ScanOptions{Cache: cache}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := ScanRoot(b.Context(), root, bench.opts)
				if err != nil {
					b.Fatal(err)
				}
				if s.Summary().Note != "" {
					b.Fatal(s.Summary().Note)
				}
			}
		})
	}
	b.Run("reference", func(b *testing.B) {
		for b.Loop() {
			if _, err := referenceScan(b.Context(), root); err != nil {
				b.Fatal(err)
			}
		}
	})
}
