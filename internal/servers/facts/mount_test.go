package facts

import (
	"slices"
	"testing"
)

// A fact of a mount is the kernel's text, as earlier snapshots have it.
func TestMountFactsKeepTheKernelsEscapes(t *testing.T) {
	got := mountFacts(`36 35 98:0 / /mnt\040a#1 rw,noatime master:1 - cifs //nas/share\0431\040x rw,errors=continue` + "\n" +
		"not a mount\n" + "37 35 0:5 / /srv/cache rw - tmpfs tmpfs rw\n")
	want := []Fact{{Mount, `/mnt\040a#1`, `cifs //nas/share\0431\040x rw,noatime`}, {Mount, "/srv/cache", "tmpfs tmpfs rw"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
