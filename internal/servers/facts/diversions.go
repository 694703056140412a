package facts

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

const (
	diversionsFile    = "/var/lib/dpkg/diversions"
	statoverrideFile  = "/var/lib/dpkg/statoverride"
	alternativesLinks = "/etc/alternatives"
)

// alternativesDirs are the databases of update-alternatives(1), of Debian and of Fedora.
var alternativesDirs = []string{"/var/lib/dpkg/alternatives", "/var/lib/alternatives"}

// A diversion is a file of packages that dpkg installs under another name, see
// dpkg-divert(1).
type diversion struct {
	from, to string
	by       string // the package whose file stays at from; empty for a local one
}

// diversions returns the diversions of dpkg, by their first path.
func diversions(from files) map[string]diversion {
	text := lines(from, diversionsFile)
	list := map[string]diversion{}
	for ; len(text) >= 3; text = text[3:] {
		d := diversion{usrMerged(text[0]), usrMerged(text[1]), strings.TrimPrefix(text[2], ":")}
		list[d.from] = d
	}
	return list
}

// adminFacts returns the files that an administrator or a package has dpkg treat
// differently: diversions, modes and owners, and alternatives that are chosen by hand.
// Other alternatives follow from the packages.
func adminFacts(from files) []Fact {
	var facts []Fact
	for _, d := range diversions(from) {
		value := "by " + d.by
		if d.by == "" {
			value = "local"
		}
		facts = append(facts, Fact{Diversion, d.from + " to " + d.to, value})
	}
	for _, line := range lines(from, statoverrideFile) {
		if f := strings.SplitN(line, " ", 4); len(f) == 4 {
			facts = append(facts, Fact{StatOverride, usrMerged(f[3]), strings.Join(f[:3], " ")})
		}
	}
	for _, a := range alternatives(from) {
		if a.manual {
			facts = append(facts, Fact{Alternative, a.name, a.target})
		}
	}
	return facts
}

// An alternative is a name that several packages offer, see update-alternatives(1).
type alternative struct {
	name   string
	manual bool
	target string            // of the link below /etc/alternatives
	links  map[string]string // names below /etc/alternatives of the links that lead there, by path
}

func alternatives(from files) []alternative {
	targets := map[string]string{}
	if entries, err := from.list(alternativesLinks); err == nil {
		for _, e := range entries {
			if e.Kind == tree.Symlink {
				targets[path.Base(e.Path)] = e.Target
			}
		}
	}
	var list []alternative
	for _, dir := range alternativesDirs {
		for _, name := range slices.Sorted(slices.Values(from.namesIn(dir))) {
			text := lines(from, path.Join(dir, name))
			if len(text) < 2 {
				continue
			}
			a := alternative{name: name, manual: text[0] == "manual", target: targets[name], links: map[string]string{usrMerged(text[1]): name}}
			// The other links that change with it follow, each a name and a path.
			for text = text[2:]; len(text) >= 2 && text[0] != ""; text = text[2:] {
				a.links[usrMerged(text[1])] = text[0]
			}
			list = append(list, a)
		}
	}
	return list
}

// addAlternatives gives the links of alternatives the packages of their targets.
func (o *Owners) addAlternatives(from files) {
	for _, a := range alternatives(from) {
		pkg := o.byPath[usrMerged(a.target)]
		if pkg == "" {
			continue
		}
		for link, name := range a.links {
			for _, file := range []string{link, path.Join(alternativesLinks, name)} {
				if o.byPath[file] == "" {
					o.byPath[file] = pkg
				}
			}
		}
	}
}

// isAdminFile reports whether a file changes together with a fact of a section of
// adminFacts.
func isAdminFile(section Section, key, file string) bool {
	switch section {
	case Diversion:
		from, to, _ := strings.Cut(key, " to ")
		return file == from || file == to || file == diversionsFile
	case StatOverride:
		return file == key || file == statoverrideFile
	}
	dir, base := path.Split(file)
	dir = path.Clean(dir)
	return base == key && slices.Contains(alternativesDirs, dir) || dir == alternativesLinks && (base == key || strings.HasPrefix(base, key+"."))
}
