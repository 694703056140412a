package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// environment returns the variables of a unit. EnvironmentFile= overrides
// Environment=, and later assignments override earlier ones (systemd.exec(5)). A
// file that sets a secret variable becomes a secret itself.
func (s *survey) environment(u *unit) ([]Variable, error) {
	byName := map[string]Variable{}
	for _, setting := range u.all("Environment") {
		setting, err := u.expand(setting)
		if err != nil {
			return nil, err
		}
		words, err := splitWords(setting)
		if err != nil {
			return nil, err
		}
		for _, w := range words {
			s.addVariable(byName, w, u.fileWith(s.root, w))
		}
	}
	for _, setting := range u.all("EnvironmentFile") {
		if err := s.addFile(byName, u, setting); err != nil {
			return nil, err
		}
	}
	var list []Variable
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, byName[name])
	}
	return list, nil
}

// addFile adds the variables of a file. If its name begins with "-", it may be
// missing.
func (s *survey) addFile(byName map[string]Variable, u *unit, setting string) error {
	setting, err := u.expand(setting)
	if err != nil {
		return err
	}
	file, optional := strings.CutPrefix(setting, "-")
	canonical, _, err := s.root.Resolve(file)
	if err != nil {
		return fmt.Errorf("read variables: %w", err)
	}
	text, err := readText(s.root, canonical)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read variables: %w", err)
	}
	for _, assignment := range assignments(text) {
		s.addVariable(byName, assignment, canonical)
	}
	return nil
}

func (s *survey) addVariable(byName map[string]Variable, assignment, file string) {
	name, value, ok := strings.Cut(assignment, "=")
	if !ok || !isVariable(name) {
		return
	}
	v := Variable{Name: name, Value: value}
	// Only the name of the file goes into the plan, which is not secret.
	if secretName.MatchString(name) && value != "" {
		v = Variable{Name: name, File: file}
		s.secretFiles[file] = "it sets " + name
	}
	byName[name] = v
}

// fileWith returns the file of a unit that sets a variable.
func (u *unit) fileWith(root *rootfs.Root, assignment string) string {
	name, _, _ := strings.Cut(assignment, "=")
	// Drop-ins come after the unit and override it, so the last file counts.
	for _, file := range slices.Backward(u.files) {
		text, err := readText(root, file)
		if err == nil && strings.Contains(text, name+"=") {
			return file
		}
	}
	return u.files[0]
}

// secretName matches the names of variables whose values are secret.
var secretName = regexp.MustCompile(`(?i)(passw(or)?d|passphrase|secret|token|api_?key|private_?key|credential|_dsn$|database_url)`)

// assignments returns the lines NAME=value of a file of variables, without quotes.
func assignments(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if ok {
			list = append(list, strings.TrimSpace(name)+"="+unquoted(strings.TrimSpace(value)))
		}
	}
	return list
}

func unquoted(value string) string {
	if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	return value
}

// secretValue finds the value of a variable in the content of the file that sets
// it: a file of a unit, or a file of variables.
func secretValue(file, content, name string) (string, bool) {
	lines := assignments(content)
	if isUnitFile(file) {
		u := unit{settings: map[string][]string{}}
		u.parse(content)
		lines = nil
		for _, setting := range u.all("Environment") {
			words, _ := splitWords(setting)
			lines = append(lines, words...)
		}
	}
	for _, line := range slices.Backward(lines) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// isUnitFile reports whether a file is a unit or a drop-in.
func isUnitFile(file string) bool {
	return path.Ext(file) == ".service" || path.Ext(file) == ".conf" && strings.HasSuffix(path.Dir(file), ".service.d")
}
