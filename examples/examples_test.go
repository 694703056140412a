// Package examples holds manifests to try; its test keeps them usable.
package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

func TestExamplesAreSupported(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no examples: %v", err)
	}
	for _, name := range files {
		f, err := source.Load(t.Context(), name)
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

// The README begins with sealing this example by its profile, which needs neither
// root nor an image.
func TestProfileSealsItsExample(t *testing.T) {
	f, err := source.Load(t.Context(), "nginx-unsealed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("nginx-unsealed.profile")
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := profile.ParseAll("nginx-unsealed.profile", data)
	if err != nil {
		t.Fatal(err)
	}
	sealed, _, err := learn.Seal(f, profiles, manifest.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"readOnlyRootFilesystem: true", "mountPath: /var/lib/nginx\n", "# the page"} {
		if !strings.Contains(string(sealed), want) {
			t.Errorf("the sealed manifest has no %q:\n%s", want, sealed)
		}
	}
}
