package facts

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A snippet is a file in a directory whose files a program reads, such as /etc/cron.d.
// Each program has its own rule for which of them count.
type snippet struct {
	path, name string
	file       tree.Entry // the file itself, if the entry of the directory is a link to it
	link       *tree.Entry
}

// snippetsIn returns the regular files of a directory, and those that links in it lead
// to, in the order of the names.
func snippetsIn(from files, dir string) []snippet {
	entries, err := from.list(dir)
	if err != nil {
		return nil
	}
	var list []snippet
	for _, e := range entries {
		s := snippet{path: e.Path, name: path.Base(e.Path), file: e}
		if e.Kind == tree.Symlink {
			target, exists := from.stat(e.Path)
			if !exists {
				continue
			}
			s.file, s.link = target, &e
		}
		if s.file.Kind == tree.Regular {
			list = append(list, s)
		}
	}
	return list
}

// isRoots reports whether only root can write a file.
func isRoots(e tree.Entry) bool { return e.UID == 0 && e.Mode&0o022 == 0 }

// ruleFacts returns the lines of files that are not comments.
func ruleFacts(from files, section Section, files []string) []Fact {
	var facts []Fact
	for _, file := range files {
		facts = append(facts, ruleLines(section, file, lines(from, file))...)
	}
	return facts
}

// ruleLines returns the lines of one file as facts. Equal lines are one fact, because
// the key of a fact is unique.
func ruleLines(section Section, file string, text []string) []Fact {
	seen := map[string]bool{}
	var facts []Fact
	for _, line := range text {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" || line[0] == '#' || seen[line] {
			continue
		}
		seen[line] = true
		facts = append(facts, Fact{section, file + ": " + line, inForce})
	}
	return facts
}

// inForce is the value of a fact whose key is a whole rule.
const inForce = "is there"

// hasAnySuffix reports whether a name ends in one of the suffixes.
func hasAnySuffix(name string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}
