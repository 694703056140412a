package facts

import (
	"path"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// serviceFacts returns the units that are enabled or masked. systemd(1) and the init of
// System V keep that as links in directories.
func serviceFacts(from files) []Fact {
	state := map[string]string{}
	for _, base := range []string{"/etc/systemd/system", "/lib/systemd/system"} {
		entries, err := from.list(base)
		if err != nil {
			continue
		}
		for _, e := range entries {
			unitFacts(from, e, base == "/etc/systemd/system", state)
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

// unitFacts reads one entry of a directory of units.
func unitFacts(from files, e tree.Entry, local bool, state map[string]string) {
	name := path.Base(e.Path)
	switch {
	case e.Kind == tree.Symlink && e.Target == "/dev/null":
		state[name] = "masked"
	case e.Kind == tree.Directory && local && (strings.HasSuffix(name, ".wants") || strings.HasSuffix(name, ".requires")):
		for _, link := range linksIn(from, e.Path) {
			if unit := path.Base(link); state[unit] == "" {
				state[unit] = "enabled"
			}
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
