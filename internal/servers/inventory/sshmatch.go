package inventory

import (
	"strings"
)

func isFinal(word string) bool { return strings.EqualFold(word, "final") }

// apply adds the options of a host according to ssh_config(5): the first value wins, and
// a second pass over all files evaluates "Match final" when the other options are known.
func (c *config) apply(alias string, s settings) error {
	for _, final := range []bool{false, true} {
		if final && !c.hasFinal {
			break
		}
		w := walker{c, alias, s, final}
		for _, file := range c.files {
			if err := w.file(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// A walker applies the files to one host.
type walker struct {
	config   *config
	alias    string
	settings settings
	final    bool
}

// file applies one file. An Include in a block that does not match is skipped, because
// no block of the included file can match then.
func (w walker) file(file []directive) error {
	active := true
	for _, d := range file {
		var err error
		switch {
		case d.key == "host":
			active = MatchPatterns(d.words, w.alias)
		case d.key == "match":
			active, err = w.match(d)
		case !active:
		case d.key == "include":
			for _, included := range d.included {
				if err := w.file(included); err != nil {
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

// match evaluates a Match line. An unsupported criterion is an error only if the result
// depends on it.
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
		case "canonical": // never holds, because CanonicalizeHostname is not supported
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
			holds = MatchPatterns(strings.Split(patterns, ","), subject)
		}
		result = result && holds != negated
	}
	return result, nil
}

// subject returns the text that the patterns of a criterion are matched with.
func (w walker) subject(criterion string) (string, bool) {
	switch criterion {
	case "host":
		// Match host sees the HostName that earlier lines have set.
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
