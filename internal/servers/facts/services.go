package facts

import (
	"path"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// serviceFacts returns the units that are enabled or masked. systemd(1) and the init of
// System V keep that as links in directories. Below /run, the links end with the next
// boot.
func serviceFacts(from files) []Fact {
	state := map[string]string{}
	seen := map[string]bool{}
	for _, base := range unitDirs {
		entries, err := from.list(base)
		if err != nil {
			continue
		}
		suffix := ""
		if strings.HasPrefix(base, "/run/") {
			suffix = "-runtime" // as systemctl calls it
		}
		for _, e := range entries {
			name := path.Base(e.Path)
			// Packages enable units below /usr; they are the same with each installation.
			if e.Kind == tree.Directory && (suffix != "" || base == "/etc/systemd/system") {
				addEnabled(from, e, "enabled"+suffix, state)
			}
			if e.Kind != tree.Directory && !seen[name] && isMask(e) {
				state[name] = "masked" + suffix
			}
			seen[name] = true
		}
	}
	for _, file := range linksIn(from, "/etc/rc2.d") {
		if name := path.Base(file); strings.HasPrefix(name, "S") && len(name) > 3 {
			// A masked unit stays masked, even if its init script is enabled.
			if unit := name[3:] + ".service"; state[unit] == "" {
				state[unit] = "enabled"
			}
		}
	}
	var facts []Fact
	for unit, s := range state {
		facts = append(facts, Fact{Service, unit, s})
	}
	return facts
}

// isMask reports whether an entry masks the unit of its name: a link to /dev/null, or
// an empty file.
func isMask(e tree.Entry) bool {
	return e.Kind == tree.Symlink && e.Target == "/dev/null" || e.Kind == tree.Regular && e.Size == 0
}

// addEnabled adds the units to which a directory of dependencies has links.
func addEnabled(from files, dir tree.Entry, enabled string, state map[string]string) {
	if !hasAnySuffix(dir.Path, ".wants", ".requires") {
		return
	}
	for _, link := range linksIn(from, dir.Path) {
		if unit := path.Base(link); state[unit] == "" {
			state[unit] = enabled
		}
	}
}

func linksIn(from files, dir string) []string {
	entries, err := from.list(dir)
	if err != nil {
		return nil
	}
	var links []string
	for _, e := range entries {
		if e.Kind == tree.Symlink {
			links = append(links, e.Path)
		}
	}
	return links
}
