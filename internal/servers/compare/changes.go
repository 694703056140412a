package compare

import (
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A FactChange is a fact of one server that has changed. Before or After is empty if
// the server did not have the fact then.
type FactChange struct {
	Section facts.Section `json:"section"`
	Key     string        `json:"key"`
	Before  string        `json:"before,omitempty"`
	After   string        `json:"after,omitempty"`
}

// fact returns the fact without a value.
func (c FactChange) fact() facts.Fact { return facts.Fact{Section: c.Section, Key: c.Key} }

// Name returns how lists name the fact: "section key".
func (c FactChange) Name() string { return c.fact().Name() }

// FactChanges compares the facts of one server at two times. It leaves out sections
// that are unknown at either time.
func FactChanges(before, after []facts.Fact, unknowns ...facts.Unknown) []FactChange {
	unknown := map[facts.Section]bool{}
	addUnknown(unknown, unknowns)
	// A key may be there several times in facts that an older program saved.
	was := map[facts.Fact][]string{} // values by fact, without its value
	for _, f := range before {
		if !unknown[f.Section] {
			at := facts.Fact{Section: f.Section, Key: f.Key}
			was[at] = append(was[at], f.Value)
		}
	}
	var added []facts.Fact
	for _, f := range after {
		at := facts.Fact{Section: f.Section, Key: f.Key}
		if i := slices.Index(was[at], f.Value); i >= 0 {
			was[at] = slices.Delete(was[at], i, i+1)
		} else if !unknown[f.Section] {
			added = append(added, f)
		}
	}
	var list []FactChange
	for _, f := range added {
		c := FactChange{Section: f.Section, Key: f.Key, After: f.Value}
		if old := was[c.fact()]; len(old) > 0 {
			c.Before, was[c.fact()] = old[0], old[1:]
		}
		list = append(list, c)
	}
	for at, values := range was {
		for _, old := range values {
			list = append(list, FactChange{at.Section, at.Key, old, ""})
		}
	}
	slices.SortStableFunc(list, func(a, b FactChange) int { return facts.CompareKeys(a.fact(), b.fact()) })
	return list
}

// A FileChange is a path of one server that has changed. Before and After identify
// the file, as the values of a Difference do. They are empty if there is no file.
type FileChange struct {
	Path    string   `json:"path"`
	Before  string   `json:"before,omitempty"`
	After   string   `json:"after,omitempty"`
	Fields  []string `json:"fields,omitempty"` // that changed, if the path existed before and after
	Derived bool     `json:"derived,omitempty"`
}

// FileChanges compares two scans of one server, in the order of the directories.
// It does not descend into equal directories.
func FileChanges(before, after *facts.Scan) ([]FileChange, error) {
	if before.Summary().Digest == after.Summary().Digest {
		return nil, nil
	}
	c := changes{before: before, after: after}
	err := c.dir("/", true, true, 0)
	return c.list, err
}

type changes struct {
	before, after *facts.Scan
	list          []FileChange
}

// dir compares a directory that existed before (was), exists now (is), or both.
func (c *changes) dir(dir string, was, is bool, depth int) error {
	if depth > facts.MaxDepth {
		return ErrTooDifferent
	}
	old, err := listIf(c.before, dir, was)
	if err != nil {
		return err
	}
	now, err := listIf(c.after, dir, is)
	if err != nil {
		return err
	}
	// Both lists are sorted by name, so they are merged.
	for len(old) > 0 || len(now) > 0 {
		var a, b *facts.Node
		if len(now) == 0 || len(old) > 0 && old[0].Name <= now[0].Name {
			a = &old[0]
		}
		if len(old) == 0 || len(now) > 0 && now[0].Name <= old[0].Name {
			b = &now[0]
		}
		if a != nil {
			old = old[1:]
		}
		if b != nil {
			now = now[1:]
		}
		if err := c.name(dir, a, b, depth); err != nil {
			return err
		}
	}
	return nil
}

// name compares one name of a directory before (a) and after (b). A missing one is
// nil.
func (c *changes) name(dir string, a, b *facts.Node, depth int) error {
	change := FileChange{}
	var isDir, wasDir bool
	if a != nil {
		change.Path, change.Before, wasDir = path.Join(dir, a.Name), a.Identity(), a.IsDir()
	}
	if b != nil {
		change.Path, change.After, isDir = path.Join(dir, b.Name), b.Identity(), b.IsDir()
	}
	if change.Before != change.After {
		if a != nil && b != nil {
			change.Fields = a.Diff(*b)
		}
		change.Derived = facts.IsDerived(change.Path)
		c.list = append(c.list, change)
	}
	// A directory that became a file, or the reverse, is still entered for the
	// entries that it had or has.
	if wasDir && isDir && a.Digest == b.Digest || !wasDir && !isDir {
		return nil
	}
	return c.dir(change.Path, wasDir, isDir, depth+1)
}

func listIf(s *facts.Scan, dir string, is bool) ([]facts.Node, error) {
	if !is {
		return nil, nil
	}
	return s.List(dir)
}
