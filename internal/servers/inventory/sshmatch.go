package inventory

import (
	"strings"
)

func isFinal(word string) bool { return strings.EqualFold(word, "final") }

// apply adds the options of a host, as ssh_config(5) describes: the first value
// wins, and a Match that is "final" is evaluated once all else is known.
func (c *config) apply(alias string, s settings) error {
	for _, final := range []bool{false, true} {
		if final && !c.hasFinal {
			break
		}
		w := walker{c, alias, s, final}
		for _, file := range c.files {
			if err := w.file(file, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// A walker goes through the files for one host.
type walker struct {
	config   *config
	alias    string
	settings settings
	final    bool
}

// file goes through one file. In a block that does not match nothing that it
// includes can match either.
func (w walker) file(file []directive, outer bool) error {
	active := outer
	for _, d := range file {
		var err error
		switch {
		case d.key == "host":
			active = outer && matchPatterns(d.words, w.alias)
		case d.key == "match":
			active = false
			if outer {
				active, err = w.match(d)
			}
		case !active:
		case d.key == "include":
			for _, included := range d.included {
				if err := w.file(included, true); err != nil {
					return err
				}
			}
		default:
			err = w.settings.setOption(d.keyword, d.rest, d.from)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const matchHint = "write Host, or Match all, host, originalhost, user, localuser or final"

// match evaluates a Match line. A criterion that is not supported is refused
// only if the verdict depends on it.
func (w walker) match(d directive) (bool, error) {
	result := true
	for words := d.words; len(words) > 0; {
		name, negated := strings.CutPrefix(words[0], "!")
		words = words[1:]
		name, patterns, hasArgument := strings.Cut(name, "=")
		name = strings.ToLower(name)
		var holds bool
		switch name {
		case "all":
			holds = true
		case "final":
			holds = w.final
		case "canonical": // names are never made canonical
		default:
			if !hasArgument {
				if len(words) == 0 {
					return false, fail(d.from, matchHint, "Match %s: no value", name)
				}
				patterns, words = words[0], words[1:]
			}
			subject, ok := w.subject(name)
			if !ok && result {
				return false, fail(d.from, matchHint, "Match %.40s is not supported", name)
			}
			if name == "host" {
				patterns = strings.ToLower(patterns)
			}
			holds = matchPatterns(strings.Split(patterns, ","), subject)
		}
		result = result && holds != negated
	}
	return result, nil
}

// subject is what the patterns of a criterion are matched with.
func (w walker) subject(criterion string) (string, bool) {
	switch criterion {
	case "host":
		name, ok := w.settings.get(optHostName)
		if !ok {
			return strings.ToLower(w.alias), true
		}
		return strings.ToLower(strings.ReplaceAll(name.value, "%h", w.alias)), true
	case "originalhost":
		return w.alias, true
	case "user":
		if user, ok := w.settings.get(optUser); ok {
			return user.value, true
		}
		return w.config.user, true
	case "localuser":
		return w.config.user, true
	}
	return "", false
}
