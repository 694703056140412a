// Package examples holds manifests to try; its test keeps them usable.
package examples

import (
	"path/filepath"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
)

func TestExamplesAreSupported(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no examples: %v", err)
	}
	for _, name := range files {
		f, err := manifest.Load(t.Context(), name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range f.Workloads() {
			for _, e := range manifest.Unsupported(w) {
				t.Error(e)
			}
		}
	}
}
