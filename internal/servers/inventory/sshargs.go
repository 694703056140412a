package inventory

import (
	"os"
	"path"
	"strings"
)

// Flags of ssh that do not affect the destination or the login.
const (
	flagsIgnored     = "46AaCkKMqTtvXxYyn"
	flagsIgnoredWith = "BbceEImS" // with an argument
)

// An invocation is a parsed command line of ssh.
type invocation struct {
	settings settings
	words    []string // other than options
	forward  string   // of -W
}

// parseArgs parses the arguments of ssh. It refuses unsupported flags. Options that disable
// the verification of host keys are not applied.
func parseArgs(words []string, from Origin) (invocation, error) {
	in := invocation{settings: settings{}}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if len(word) < 2 || word[0] != '-' {
			in.words = append(in.words, word)
			continue
		}
		// Flags without an argument may share a word, of which the last flag may have
		// one: "-ttp22".
		for word = word[1:]; word != ""; {
			flag := word[0]
			word = word[1:]
			if strings.IndexByte(flagsIgnored, flag) >= 0 {
				continue
			}
			value := word
			if value == "" {
				if len(words) == 0 {
					return in, fail(from, "", "-%c of ssh: no value, or not understood", flag)
				}
				value, words = words[0], words[1:]
			}
			word = ""
			if err := in.flag(flag, value, from); err != nil {
				return in, err
			}
		}
	}
	return in, nil
}

// flag applies a flag with its argument.
func (in *invocation) flag(flag byte, value string, from Origin) error {
	switch flag {
	case 'o':
		return in.option(value, from)
	case 'i':
		return in.settings.setOption(optIdentityFile, quoteWord(value), from)
	case 'p':
		return in.settings.setOption(optPort, quoteWord(value), from)
	case 'l':
		return in.settings.setOption(optUser, quoteWord(value), from)
	case 'J':
		return in.settings.setOption(optProxyJump, value, from)
	case 'W':
		in.forward = value
		return nil
	}
	if strings.IndexByte(flagsIgnoredWith, flag) >= 0 {
		return nil
	}
	return fail(from, "leave it out, or write it into ssh_config", "-%c of ssh is not supported", flag)
}

func (in *invocation) option(text string, from Origin) error {
	keyword, rest := cutKeyword(text)
	value := strings.ToLower(strings.Trim(rest, `"' `))
	switch {
	case strings.EqualFold(keyword, "StrictHostKeyChecking"):
		if value == "no" || value == "off" {
			in.settings.set(optHostKeyChecking, from, value)
		}
		return nil
	case strings.EqualFold(keyword, "UserKnownHostsFile") && path.Clean(value) == os.DevNull:
		in.settings.set(optHostKeyChecking, from, value)
		return nil
	}
	return in.settings.setOption(keyword, rest, from)
}

// quoteWord quotes a word for setOption, which splits values.
func quoteWord(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// setArgs adds the arguments for ssh in a variable of an inventory.
func (s settings) setArgs(v variable) error {
	words, err := shellWords(v.text, false)
	if err != nil {
		return fail(v.from, "quote as in a shell", "%s: %v", v.name, err)
	}
	in, err := parseArgs(words, v.from)
	if err != nil {
		return err
	}
	if len(in.words) > 0 || in.forward != "" {
		return fail(v.from, "options of ssh only", "%s holds more than options", v.name)
	}
	s.add(in.settings)
	return nil
}

// add adds options of lower precedence.
func (s settings) add(weaker settings) {
	_, jump := s[optProxyJump]
	_, command := s[optProxyCommand]
	for key, options := range weaker {
		switch {
		case key == optIdentityFile:
			s[key] = append(s[key], options...)
		case (key == optProxyJump || key == optProxyCommand) && (jump || command):
		case len(s[key]) == 0:
			s[key] = options
		}
	}
}
