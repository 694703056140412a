package inventory

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The supported options of ssh_config, in lower case.
const (
	optHostName       = "hostname"
	optPort           = "port"
	optUser           = "user"
	optIdentityFile   = "identityfile"
	optIdentitiesOnly = "identitiesonly"
	optKnownHosts     = "userknownhostsfile"
	optHostKeyAlias   = "hostkeyalias"
	optTimeout        = "connecttimeout"
	optProxyJump      = "proxyjump"
	optProxyCommand   = "proxycommand"
	optCanonicalize   = "canonicalizehostname"

	// of the inventory only: in ssh_config it is ignored
	optHostKeyChecking = "stricthostkeychecking"
)

// An option is a value with its origin.
type option struct {
	value string
	from  Origin
}

// settings holds options by their keyword in lower case. The first value wins, except
// for identity files, which add up.
type settings map[string][]option

func (s settings) get(key string) (option, bool) {
	if len(s[key]) == 0 {
		return option{}, false
	}
	return s[key][0], true
}

func (s settings) set(key string, from Origin, values ...string) {
	// As in ssh_config(5) the first value wins, so sources are applied in the order
	// of their precedence.
	if _, ok := s[key]; ok {
		return
	}
	for _, v := range values {
		s[key] = append(s[key], option{v, from})
	}
}

// setOption sets an option in the syntax of ssh_config or "-o". rest is the text after
// the keyword. Options that do not affect the destination or the login are ignored, and
// so is StrictHostKeyChecking, because host keys are always verified.
func (s settings) setOption(keyword, rest string, from Origin) error {
	key := strings.ToLower(keyword)
	switch key {
	case optProxyCommand, optProxyJump:
		// Both options are one setting: the first of either wins.
		_, jump := s[optProxyJump]
		_, command := s[optProxyCommand]
		if !jump && !command {
			s.set(key, from, strings.TrimSpace(rest))
		}
		return nil
	case optHostName, optPort, optUser, optIdentityFile, optIdentitiesOnly, optKnownHosts, optHostKeyAlias, optTimeout,
		optCanonicalize:
	default:
		return nil
	}
	words, err := configWords(rest)
	if err != nil || len(words) == 0 {
		return fail(from, "write a value, with quotes closed", "%s: no value", keyword)
	}
	if len(words) > 1 && key != optKnownHosts {
		return fail(from, "quote a value with spaces", "%s: more than one value", keyword)
	}
	if key != optIdentityFile {
		s.set(key, from, words...)
	} else if !slices.ContainsFunc(s[key], func(o option) bool { return o.value == words[0] }) {
		s[key] = append(s[key], option{words[0], from})
	}
	return nil
}

// notes returns the options that are ignored although a user may expect them to work.
func (s settings) notes() []Note {
	o, ok := s.get(optHostKeyChecking)
	if !ok {
		return nil
	}
	return []Note{{o.from, "the verification of host keys cannot be disabled, so this is ignored: host keys are always verified"}}
}

// seconds parses a time in the format of ssh_config: "90", "1m30s".
func (o option) seconds(what string) (time.Duration, error) {
	total, rest := int64(0), strings.ToLower(o.value)
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		rest = rest[digits:]
		unit := int64(1)
		if rest != "" {
			unit = map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400}[rest[0]]
			rest = rest[1:]
		}
		if total += n * unit; err != nil || unit == 0 || total > maxTimeout {
			total = 0
			break
		}
	}
	if total == 0 {
		return 0, fail(o.from, "write seconds, such as 10", "%s: %.40q is no time", what, o.value)
	}
	return time.Duration(total) * time.Second, nil
}

// maxTimeout is a day, in seconds. A longer timeout is taken for an error.
const maxTimeout = 86400

func (o option) port() (int, error) {
	n, ok := parsePort(o.value)
	if !ok {
		return 0, fail(o.from, "write a number from 1 to 65535", "%.40q is no port", o.value)
	}
	return n, nil
}

// isYes parses a flag of ssh_config.
func (o option) isYes(what string) (bool, error) {
	switch strings.ToLower(o.value) {
	case "yes", "true":
		return true, nil
	case "no", "false":
		return false, nil
	}
	return false, fail(o.from, "write yes or no", "%s: %.40q is neither yes nor no", what, o.value)
}
