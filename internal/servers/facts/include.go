package facts

import (
	"path"
	"strings"
)

// The bounds of one program's configuration. sshd(8) has the same depth.
const (
	maxIncludeDepth = 16
	maxIncluded     = 1000 // files
)

const tooMany = "too many files are included"

// A config is a program's configuration, of which files include others.
type config struct {
	from files
	base string // where relative names begin
	read int    // files
	size int    // bytes
	over string // why not all was read
}

// lines are those of a file that is included at a depth.
func (c *config) lines(file string, depth int) []string {
	switch {
	case depth > maxIncludeDepth:
		c.over = "files include each other too deep"
		return nil
	case c.read >= maxIncluded || c.size > maxText:
		c.over = tooMany
		return nil
	}
	list := lines(c.from, file)
	c.read++
	for _, line := range list {
		c.size += len(line)
	}
	return list
}

// unknowns returns why not all was read, none if all was.
func (c *config) unknowns(section Section, file string) []Unknown {
	if c.over == "" {
		return nil
	}
	return []Unknown{{Path: file, Reason: c.over, Section: section}}
}

// glob are the paths that glob(7) makes of a pattern, in the order of the names.
func (c *config) glob(pattern string) []string {
	if !path.IsAbs(pattern) {
		pattern = path.Join(c.base, pattern)
	}
	found := []string{"/"}
	for part := range strings.SplitSeq(strings.Trim(path.Clean(pattern), "/"), "/") {
		var next []string
		for _, dir := range found {
			if next = append(next, c.names(dir, part)...); len(next) > maxIncluded {
				c.over, next = tooMany, next[:maxIncluded]
				break
			}
		}
		found = next
	}
	return found
}

// names are the paths in a directory that one part of a pattern makes.
func (c *config) names(dir, part string) []string {
	if !strings.ContainsAny(part, `*?[\`) {
		return []string{path.Join(dir, part)}
	}
	entries, err := c.from.list(dir)
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		name := path.Base(e.Path)
		if ok, err := path.Match(part, name); err == nil && ok && (name[0] != '.' || part[0] == '.') {
			list = append(list, path.Join(dir, name))
		}
	}
	return list
}
