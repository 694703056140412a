package facts

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

const sudoersFile = "/etc/sudoers"

// sudoFacts returns the rules of sudoers(5) in their original text, in the order in
// which sudo reads them. Files that sudo ignores have none.
func sudoFacts(from files) ([]Fact, []Unknown) {
	s := sudoers{config: config{from: from}}
	s.file(sudoersFile, 0)
	return s.facts, s.unknowns(Sudoers, sudoersFile)
}

// A sudoers reads sudoers(5) with the files that it includes.
type sudoers struct {
	config
	facts []Fact
	seen  map[Fact]bool
	open  []string // files that are being read, each included by the one before
}

// isTrusted reports whether sudo reads a file or a directory: root owns it, and nobody
// else writes it, except the group of root.
func isTrusted(e tree.Entry) bool {
	return e.UID == 0 && e.Mode&0o002 == 0 && (e.Mode&0o020 == 0 || e.GID == 0)
}

func (s *sudoers) file(name string, depth int) {
	e, exists := s.from.stat(name)
	if !exists || e.Kind != tree.Regular || !isTrusted(e) || slices.Contains(s.open, name) {
		return
	}
	s.open = append(s.open, name)
	defer func() { s.open = s.open[:len(s.open)-1] }()
	text := s.lines(name, depth)
	if len(text) == 0 && e.Size > 0 && s.over == "" {
		s.over = name + " could not be read" // without an agent, only some files are
	}
	before := ""
	for _, line := range text {
		if files, is := s.included(name, before+line); is {
			for _, f := range files {
				s.file(f, depth+1)
			}
			continue
		}
		line = before + sudoText(line)
		if continued, ok := strings.CutSuffix(line, `\`); ok && len(line) < maxUnitLine {
			before = continued
			continue
		}
		before = ""
		s.add(name, line)
	}
	s.add(name, before)
}

// add adds a rule. Equal rules of a file are one fact, because the key of a fact is
// unique.
func (s *sudoers) add(file, rule string) {
	f := Fact{Sudoers, file + ": " + strings.Join(strings.Fields(rule), " "), inForce}
	if strings.TrimSpace(rule) == "" || s.seen[f] {
		return
	}
	if s.seen == nil {
		s.seen = map[Fact]bool{}
	}
	s.seen[f] = true
	s.facts = append(s.facts, f)
}

// sudoText returns a line without its comment. A number sign before a digit begins no
// comment but the number of a user or a group.
func sudoText(line string) string {
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\':
			i++
		case line[i] == '"':
			if end := strings.IndexByte(line[i+1:], '"'); end >= 0 {
				i += end + 1
			}
		case line[i] == '#' && (i+1 == len(line) || !strings.ContainsRune("0123456789-", rune(line[i+1]))):
			return line[:i]
		}
	}
	return line
}

// included returns the files that a line includes. is is false if the line is no such
// directive.
func (s *sudoers) included(file, line string) (files []string, is bool) {
	line = strings.ReplaceAll(line, "\t", " ")
	if trimmed := strings.TrimLeft(line, " "); strings.HasPrefix(trimmed, "@") {
		line = trimmed // the old form with a number sign has no blanks before it
	}
	keyword, rest, _ := strings.Cut(line, " ")
	isDir := keyword == "@includedir" || keyword == "#includedir"
	if !isDir && keyword != "@include" && keyword != "#include" {
		return nil, false
	}
	name := s.includedName(file, rest)
	if !isDir {
		return []string{name}, true
	}
	if e, exists := s.from.stat(name); !exists || !isTrusted(e) {
		return nil, true
	}
	for _, f := range snippetsIn(s.from, name) {
		if !strings.Contains(f.name, ".") && !strings.HasSuffix(f.name, "~") {
			files = append(files, f.path)
		}
	}
	return files, true
}

// includedName returns the path in a directive. Blanks in it are quoted or escaped, %h
// stands for the short name of the host, and relative paths begin at the file with the
// directive.
func (s *sudoers) includedName(file, text string) string {
	text = strings.TrimLeft(text, " ")
	var name strings.Builder
	quoted := strings.HasPrefix(text, `"`)
	text = strings.TrimPrefix(text, `"`)
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			name.WriteByte(text[i])
		case quoted && text[i] == '"', !quoted && text[i] == ' ':
			text = ""
		case strings.HasPrefix(text[i:], "%h"):
			name.WriteString(s.host())
			i++
		default:
			name.WriteByte(text[i])
		}
	}
	if path.IsAbs(name.String()) {
		return path.Clean(name.String())
	}
	return path.Join(path.Dir(file), name.String())
}

// host returns the name of the server without its domain.
func (s *sudoers) host() string {
	if text := lines(s.from, "/etc/hostname"); len(text) > 0 {
		name, _, _ := strings.Cut(strings.TrimSpace(text[0]), ".")
		return name
	}
	return "localhost"
}
