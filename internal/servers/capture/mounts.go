package capture

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// ownFileSystems are those that can hold a server's own files.
var ownFileSystems = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "overlay", "vfat", "exfat", "ntfs3",
}

// foreignMounts are the mount points of this machine that hold no files of its
// own, with what is mounted there (proc_pid_mountinfo(5)).
func foreignMounts() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return foreignIn(string(text)), nil
}

func foreignIn(mountinfo string) map[string]string {
	foreign := map[string]string{}
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 2 || l[4] == "/" {
			continue
		}
		point := octal.Replace(l[4])
		isOwn := slices.Contains(ownFileSystems, r[0]) && (r[0] != "overlay" || !strings.HasPrefix(point, "/var/lib/") && !strings.HasPrefix(point, "/run/"))
		if isOwn {
			delete(foreign, point) // what is mounted last is seen
			continue
		}
		foreign[point] = r[0] + " " + octal.Replace(r[1])
	}
	return foreign
}

// octal undoes how mountinfo writes blanks.
var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
