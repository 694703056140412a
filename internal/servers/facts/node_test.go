package facts

import (
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// An undo restores mode and owner from the identity of a node of any kind.
func TestAttributesOfIdentities(t *testing.T) {
	for _, kind := range []tree.Kind{tree.Regular, tree.Directory, tree.Symlink, tree.CharDevice, tree.FIFO, tree.Socket} {
		n := Node{Kind: kind.String(), Mode: 0o4751, Owner: `a "b" c`, Group: "1001", Digest: "sha256:00", Target: `x "y"`}
		mode, owner, group, err := Attributes(n.Identity())
		if err != nil || mode != n.Mode || owner != n.Owner || group != n.Group {
			t.Errorf("%s: got %o %q %q, %v", n.Identity(), mode, owner, group, err)
		}
	}
	if _, _, _, err := Attributes("sha256:00"); err == nil {
		t.Error("got no error for a text that is no identity")
	}
}
