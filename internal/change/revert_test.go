package change

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUndoOfAnInterruptedChangeIsNotClean(t *testing.T) {
	c, dir := onRoot(t, Job{}, "etc/saved", "usr/share/x")
	_, err := c.save(t.Context())
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "etc/saved"), []byte("new\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "usr/share/x"), []byte("new\n"), 0o644))
	c.state.Stage = Interrupted
	must(t, c.recall(t.Context()))
	if c.lost == nil || !strings.Contains(c.lost.Error(), "what else it changed is not known") {
		t.Errorf("got %v", c.lost)
	}
}
