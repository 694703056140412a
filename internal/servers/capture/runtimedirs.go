package capture

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// virtualDirs are the modes of the directories that are mount points on every
// system, and of /run/lock, which Debian's programs expect.
var virtualDirs = map[string]uint32{
	"/dev": 0o755, "/proc": 0o555, "/run": 0o755, "/run/lock": 0o1777, "/sys": 0o555, "/tmp": 0o1777,
}

// runtimeDirs returns the directories that systemd creates at each start and that
// are not on the disk: those of tmpfiles.d(5) in /run, the RuntimeDirectory= of
// services, and mount points.
func (s *survey) runtimeDirs() (tree.Tree, error) {
	dirs := map[string]tree.Entry{}
	for dir, mode := range virtualDirs {
		dirs[dir] = tree.Entry{Path: dir, Kind: tree.Directory, Mode: mode}
	}
	for dir := range s.mounted {
		if virtual := virtualDirs["/"+strings.Split(dir, "/")[1]] != 0; !virtual {
			dirs[dir] = tree.Entry{Path: dir, Kind: tree.Directory, Mode: 0o755}
		}
	}
	for _, line := range s.tmpfiles() {
		s.addRuntime(dirs, line)
	}
	for i, u := range s.units {
		v := s.plan.Services[i]
		mode := parseMode(u.last("RuntimeDirectoryMode"))
		for _, name := range u.words("RuntimeDirectory") {
			name, err := u.expand(name)
			if dir := path.Join("/run", name); err == nil && isBelow(dir, "/run") {
				dirs[dir] = tree.Entry{Path: dir, Kind: tree.Directory, Mode: mode, UID: v.UID, GID: v.GID}
			}
		}
	}
	// A path may be in one layer only, and the one that the server has on its disk
	// has the right owner.
	var list []tree.Entry
	for dir, e := range dirs {
		_, inPackages := s.plan.Packages.Files.Lookup(dir)
		_, inConfig := s.plan.Config.Files.Lookup(dir)
		if !inPackages && !inConfig {
			list = append(list, e)
		}
	}
	return tree.New(list)
}

// tmpfiles returns the lines of tmpfiles.d(5). A file in /etc overrides the file
// with the same name in /usr/lib.
func (s *survey) tmpfiles() []string {
	byName := map[string]string{}
	for _, dir := range []string{"/etc/tmpfiles.d", "/usr/lib/tmpfiles.d"} {
		entries, _ := s.root.ReadDir(dir) // not every system has both
		for _, e := range entries {
			if base := path.Base(e.Path); byName[base] == "" && strings.HasSuffix(base, ".conf") {
				byName[base] = e.Path
			}
		}
	}
	var list []string
	for _, base := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, textLines(s.root, byName[base])...)
	}
	return list
}

// addRuntime adds the directory in /run that a line of tmpfiles.d(5) creates.
func (s *survey) addRuntime(dirs map[string]tree.Entry, line string) {
	f := strings.Fields(line)
	if len(f) < 2 || strings.TrimRight(f[0], "!+-=~^$") != "d" && strings.TrimRight(f[0], "!+-=~^$") != "D" {
		return
	}
	dir := path.Clean(strings.Replace(f[1], "/var/run/", "/run/", 1))
	if !isBelow(dir, "/run") || strings.ContainsAny(dir, "%*") || isBelow(dir, "/run/systemd") || dir == "/run/systemd" {
		return
	}
	for len(f) < 5 {
		f = append(f, "-")
	}
	e := tree.Entry{Path: dir, Kind: tree.Directory, Mode: parseMode(f[2])}
	user, err := image.LookupUser(userOrRoot(f[3])+":"+userOrRoot(f[4]), s.passwd, s.group)
	if err == nil {
		e.UID, e.GID = user.UID, user.GID
		dirs[dir] = e
	}
}

func userOrRoot(name string) string {
	if name == "-" {
		return "root"
	}
	return name
}

// parseMode parses the mode of a directory. An empty or invalid mode is 0755, the
// default of systemd.
func parseMode(text string) uint32 {
	mode, err := strconv.ParseUint(strings.TrimLeft(text, "~:"), 8, 12)
	if err != nil {
		return 0o755
	}
	return uint32(mode)
}
