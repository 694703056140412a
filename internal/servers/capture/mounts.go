package capture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// ownFileSystems are the file systems that can hold a server's own files.
var ownFileSystems = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "overlay", "vfat", "exfat", "ntfs3",
}

// foreignMounts returns the mount points of this machine that hold no files of its
// own, with the type and source of each mount.
func foreignMounts() (map[string]string, error) {
	table, err := mounts.Self()
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return foreignIn(table), nil
}

func foreignIn(table []mounts.Mount) map[string]string {
	foreign := map[string]string{}
	for _, m := range table {
		if m.Point == "/" {
			continue
		}
		// Container runtimes mount the roots of containers as overlays below these
		// directories. Those files are not the server's.
		isOwn := slices.Contains(ownFileSystems, m.Type) &&
			(m.Type != "overlay" || !strings.HasPrefix(m.Point, "/var/lib/") && !strings.HasPrefix(m.Point, "/run/"))
		if isOwn {
			delete(foreign, m.Point) // a later mount hides an earlier one
			continue
		}
		foreign[m.Point] = m.Type + " " + m.Source
	}
	return foreign
}
