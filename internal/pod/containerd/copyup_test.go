package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckStatic(t *testing.T) {
	raw, err := buildProbe()
	if err != nil {
		t.Fatal(err)
	}
	static := filepath.Join(t.TempDir(), "adamant")
	if err := os.WriteFile(static, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := checkStatic(static); err != nil {
		t.Errorf("a static program is refused: %v", err)
	}
	if err := checkStatic("/bin/sh"); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("/bin/sh needs a dynamic linker: got %v, want how to build without one", err)
	}
}
