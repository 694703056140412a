package facts

import (
	"path"
	"strings"
)

// The bounds of one program's configuration. The depth is that of sshd(8).
const (
	maxIncludeDepth = 16
	maxIncluded     = 1000 // files
)

const tooMany = "too many files are included"

// A config reads the configuration of a program, whose files include others.
type config struct {
	from files
	base string // directory of relative names
	read int    // files
	size int    // bytes
	over string // why not everything was read
}

// lines returns the lines of a file that is included at a depth.
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

// unknowns returns why not everything was read, none if everything was.
func (c *config) unknowns(section Section, file string) []Unknown {
	if c.over == "" {
		return nil
	}
	return []Unknown{{Path: file, Reason: c.over, Section: section}}
}

// glob returns the paths that match a pattern, see glob(7), in the order of the names.
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

// names returns the paths in a directory that match one component of a pattern. A
// component without wildcards is not looked up: if the file is missing, reading it fails.
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
