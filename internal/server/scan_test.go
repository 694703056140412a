package server

import (
	"os"
	"path"
	"path/filepath"
	"slices"
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

// Both ways of asking for a class say the same.
func TestExpectedByDirectory(t *testing.T) {
	for p, want := range map[string]Expected{
		"/home/ada/.cache/x": Cache, "/home/ada/.cache/x/y": Cache, "/home/ada/.cache": "", "/home/.cache/x": "", "/home/a/b/.cache/x": "",
		"/home/ada/.bash_history": State, "/home/.bash_history": "", "/var/log/a/b": Log, "/var/log": "", "/etc/hostname": Name,
		"/etc/ssh/ssh_host_rsa_key": Identity, "/var/logs/x": "",
	} {
		got, _ := expectedAt(p)
		byDir := treatmentIn(path.Dir(p))(path.Base(p))
		wantNumber := classNumber(slices.Index(classes, want))
		if got != want || byDir.Class != wantNumber {
			t.Errorf("%s: got %q and class %v, want %q", p, got, byDir.Class, want)
		}
	}
}
