package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/test/imagetest"
)

// TestLoadAgreesWithReading reads archives in both ways: like `adamant load`,
// which imports them, and like `drift --root --image`, which opens and flattens
// them. Both must accept or refuse the same archives.
func TestLoadAgreesWithReading(t *testing.T) {
	d, _ := startTest(t)
	for _, tt := range append(imagetest.Hostile(), imagetest.Odd()...) {
		t.Run(tt.Name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "archive.tar")
			if err := os.WriteFile(path, tt.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, loadErr := d.Import(t.Context(), path, ImportOptions{})
			for _, img := range loaded {
				if err := d.RemoveImage(t.Context(), img.ID.String()); err != nil {
					t.Error(err)
				}
			}
			readErr := readAll(t, path, d.snapshotter != "overlayfs")
			for way, err := range map[string]error{"load": loadErr, "read": readErr} {
				switch {
				case tt.Refused == "" && err != nil:
					t.Errorf("%s: %v, want no error", way, err)
				case tt.Refused != "" && (err == nil || !strings.Contains(err.Error(), tt.Refused)):
					t.Errorf("%s: %v, want an error with %q", way, err, tt.Refused)
				}
			}
		})
	}
}

func readAll(t *testing.T, path string, copied bool) error {
	set, err := image.Open(t.Context(), path, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer set.Close()
	for _, img := range set.Images {
		if _, _, err := image.OpenRootfs(t.Context(), img, image.FlattenOptions{Copied: copied}); err != nil {
			return err
		}
	}
	return nil
}
