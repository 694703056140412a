package inventory

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const systemSSHConfig = "/etc/ssh/ssh_config"

// A config holds the content of ssh_config files, in the order of precedence.
type config struct {
	files    [][]directive
	home     string
	user     string
	hasFinal bool // a Match has "final", so that there is a second pass
}

// A directive is a line of an ssh_config with the content of the files that it includes.
type directive struct {
	key      string // keyword in lower case
	keyword  string // in its original case
	rest     string
	from     Origin
	words    []string      // of Host, Match and Include
	included [][]directive // of Include
}

// A configReader reads ssh_config files.
type configReader struct {
	source *source
	config *config
	system bool // includes are relative to /etc/ssh, not to ~/.ssh
}

// loadConfig reads a file that the user names, or else the files of OpenSSH, which may be
// missing.
func (s *source) loadConfig(name, home, user string) (*config, error) {
	c := &config{home: home, user: user}
	r := configReader{source: s, config: c}
	switch name {
	case "":
	case os.DevNull: // as for ssh -F: no configuration at all
		return c, nil
	default:
		return c, r.add(name)
	}
	own := filepath.Join(home, ".ssh", "config")
	if err := checkOwn(own); err != nil {
		return nil, err
	}
	if err := r.add(own); err != nil && !isMissing(err) {
		return nil, err
	}
	r.system = true
	if err := r.add(systemSSHConfig); err != nil && !isMissing(err) {
		return nil, err
	}
	return c, nil
}

// checkOwn returns an error if others may write the user's configuration, as OpenSSH
// does: they could redirect connections.
func checkOwn(name string) error {
	info, err := os.Stat(name)
	if err == nil && info.Mode()&fs.FileMode(0o022) != 0 {
		return fail(Origin{File: name}, "chmod go-w it", "others may write it")
	}
	return nil
}

func (r *configReader) add(name string) error {
	file, err := r.file(name, 0)
	r.config.files = append(r.config.files, file)
	return err
}

func (r *configReader) file(name string, depth int) ([]directive, error) {
	data, err := r.source.read(name)
	if err != nil {
		return nil, err
	}
	return r.parse(name, data, depth)
}

func (r *configReader) parse(name string, data []byte, depth int) ([]directive, error) {
	var all []directive
	at := Origin{File: name}
	for line := range strings.Lines(string(data)) {
		at.Line++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		d, err := r.directive(line, at, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func (r *configReader) directive(line string, at Origin, depth int) (directive, error) {
	keyword, rest := cutKeyword(line)
	d := directive{key: strings.ToLower(keyword), keyword: keyword, rest: rest, from: at}
	// Other options are parsed for the hosts that use them, so that an error in one
	// block does not affect the others.
	if d.key != "host" && d.key != "match" && d.key != "include" {
		return d, nil
	}
	var err error
	d.words, err = configWords(rest)
	if err != nil || len(d.words) == 0 {
		return d, fail(at, "write a value, with quotes closed", "%s: no value", keyword)
	}
	switch d.key {
	case "match":
		r.config.hasFinal = r.config.hasFinal || slices.ContainsFunc(d.words, isFinal)
	case "include":
		d.included, err = r.include(d, depth+1)
	}
	return d, err
}

// include reads the files that match the patterns of an Include, if any.
func (r *configReader) include(d directive, depth int) ([][]directive, error) {
	if depth > maxDepth {
		return nil, fail(d.from, "a file may include itself", "files are included more than %d deep", maxDepth)
	}
	var all [][]directive
	for _, pattern := range d.words {
		switch after, isHome := strings.CutPrefix(pattern, "~/"); {
		case isHome:
			pattern = filepath.Join(r.config.home, after)
		case filepath.IsAbs(pattern):
		case r.system:
			pattern = filepath.Join(filepath.Dir(systemSSHConfig), pattern)
		default:
			pattern = filepath.Join(r.config.home, ".ssh", pattern)
		}
		names, err := filepath.Glob(pattern) // sorted, as in OpenSSH
		if err != nil {
			return nil, fail(d.from, "", "Include %.80q is no pattern", pattern)
		}
		for _, name := range names {
			file, err := r.file(name, depth)
			if err != nil {
				return nil, err
			}
			all = append(all, file)
		}
	}
	return all, nil
}

// knows reports whether a Host line names a host, by more than "*".
func (c *config) knows(alias string) bool {
	return slices.ContainsFunc(c.files, func(file []directive) bool { return knows(file, alias) })
}

func knows(file []directive, alias string) bool {
	return slices.ContainsFunc(file, func(d directive) bool {
		if d.key == "include" {
			return slices.ContainsFunc(d.included, func(file []directive) bool { return knows(file, alias) })
		}
		return d.key == "host" && MatchPatterns(d.words, alias) &&
			slices.ContainsFunc(d.words, func(p string) bool {
				return strings.Trim(p, "*") != "" && p[0] != '!' && wildcard(p, alias)
			})
	})
}

// names returns the names on Host lines, without those that have wildcards.
func (c *config) names() []string {
	var all []string
	var add func(file []directive)
	add = func(file []directive) {
		for _, d := range file {
			for _, included := range d.included {
				add(included)
			}
			if d.key == "host" {
				all = append(all, slices.DeleteFunc(slices.Clone(d.words), func(p string) bool { return strings.ContainsAny(p, "*?!") })...)
			}
		}
	}
	for _, file := range c.files {
		add(file)
	}
	return all
}
