package observe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBundleOf checks that a container which exists without runc's state is an
// error, and not taken for one that does not exist.
func TestBundleOf(t *testing.T) {
	root := t.TempDir()
	if _, err := bundleOf(root, "none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no container: got %v", err)
	}
	must(t, os.Mkdir(filepath.Join(root, "other"), 0o700))
	_, err := bundleOf(root, "other")
	if err == nil || errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "state.json") {
		t.Errorf("another runtime's container: got %v", err)
	}
	must(t, os.WriteFile(filepath.Join(root, "other", "state.json"), []byte(`{"config":{"labels":["bundle=/b"]}}`), 0o600))
	if got, err := bundleOf(root, "other"); got != "/b" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
