package facts

import (
	"slices"
	"testing"
)

// A fact of a mount is the kernel's text, as earlier snapshots have it.
func TestMountFactsKeepTheKernelsEscapes(t *testing.T) {
	got := mountFacts(`36 35 98:0 / /mnt\040a#1 rw,noatime master:1 - cifs //nas/share\0431\040x rw` + "\n" +
		"not a mount\n" + "37 35 0:5 / /srv/cache rw - tmpfs tmpfs rw,size=8k\n")
	want := []Fact{{Mount, `/mnt\040a#1`, `cifs //nas/share\0431\040x rw,noatime`}, {Mount, "/srv/cache", "tmpfs tmpfs rw"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// After an error the kernel makes a file system read-only, but not its mounts.
func TestMountOfAFileSystemThatBecameReadOnly(t *testing.T) {
	for line, want := range map[string]string{
		"36 35 98:0 / / rw,relatime - ext4 /dev/vda1 rw,errors=remount-ro":              "ext4 /dev/vda1 rw,relatime (file system: errors=remount-ro)",
		"36 35 98:0 / / rw,relatime - ext4 /dev/vda1 ro,errors=remount-ro,emergency_ro": "ext4 /dev/vda1 rw,relatime (file system: ro,errors=remount-ro,emergency_ro)",
		"36 35 98:0 / / ro,relatime - ext4 /dev/vda1 ro":                                "ext4 /dev/vda1 ro,relatime",
		"36 35 0:9 / /x rw - nfs4 nas:/x rw,soft,clientaddr=10.0.0.7,addr=10.0.0.9":     "nfs4 nas:/x rw (file system: soft)",
	} {
		if got := mountFacts(line); len(got) != 1 || got[0].Value != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
