package redact

import (
	"regexp"
	"strings"
)

var (
	reference = regexp.MustCompile(`^(?:\$\{[A-Za-z_][A-Za-z0-9_]*\}|\{\{-?\s*[A-Za-z_.$][\w.$]*\s*-?\}\}|%\([a-z_]+\)s|<[a-z][a-z _-]*>|@[A-Z_]+@)$`)
	// Variables of a shell.
	shellReference = regexp.MustCompile(`^(?:\$[A-Za-z_][A-Za-z0-9_]*|\$[0-9@*#?!]|\$\{[A-Za-z_][A-Za-z0-9_]*\})$`)
	fileName       = regexp.MustCompile(`^(?:/(?:etc|usr|var|run|opt|srv|home|root|tmp|dev|proc|sys|lib|lib64|bin|sbin|mnt|media|data|app|nonexistent)(?:/[\w.@+-]*)*|\$\{?\w+\}?(?:/[\w.-]+)+|~/[\w./@+-]+|\.{1,2}/[\w./@+-]+)$`)
	plainWords     = regexp.MustCompile(`^[a-z][a-z._-]*(?:[ ,|/]+[a-z][a-z._-]*)*$`)
	capitalWord    = regexp.MustCompile(`^[A-Z][a-z]+$`)
	smallNumber    = regexp.MustCompile(`^-?[0-9]{1,3}(?:[.][0-9]{1,3})?$`)
	amount         = regexp.MustCompile(`^-?[0-9]{1,9}(?:[.][0-9]+)?\s*(?:[kKmMgG]i?[bB]?|ns|us|ms|s|sec|m|min|h|d|days?|w|y|%)?$`)
	plainURL       = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[\w.-]+(?::[0-9]+)?(?:/[\w./-]*)?$`)
	algorithm      = regexp.MustCompile(`^(?i:sha-?[0-9]+|md[45]|(?:rsa|ecdsa|ed|x)-?[0-9]*|(?:aes|camellia|chacha)-?[0-9]+(?:-[a-z0-9]+)*|[hrep]s[0-9]{3}|tls[v0-9._]*|http/?[0-9.]*|scram-sha-[0-9]+)$`)
	objectName     = regexp.MustCompile(`^[a-z0-9]+(?:[._/-][a-z0-9]+)*$`)
)

var notSecret = set(`true false yes no on off none null nil undefined default enabled disabled optional required * ! !! ~ [] {} "" ''`)

// isHarmless reports whether the value of a setting can be shown.
func (m *marker) isHarmless(s string, how strength) bool {
	s = strings.TrimRight(strings.TrimSpace(s), ";, \t\r")
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'' || s[0] == '`') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	if s == "" || notSecret[strings.ToLower(s)] && !m.careful {
		return true
	}
	if len(s) > maxHarmless || m.careful && how != about {
		return false
	}
	if reference.MatchString(s) || fileName.MatchString(s) || m.format.isShell && shellReference.MatchString(s) {
		return true
	}
	switch how {
	case about:
		return algorithm.MatchString(s) || !isSuspicious(s)
	case weak:
		return smallNumber.MatchString(s) || algorithm.MatchString(s) || plainWords.MatchString(s) || capitalWord.MatchString(s) || plainURL.MatchString(s)
	}
	return false
}

// isSuspicious reports whether a word is more like a password than like a word, a
// number, a name or a path.
func isSuspicious(s string) bool {
	s = strings.Trim(s, "\"'`.,;:()<>[]{}!?")
	if len(s) < 4 || strings.ContainsAny(s, " \t") && len(s) < 60 && !strings.ContainsAny(s, "0123456789") {
		return false
	}
	if fileName.MatchString(s) || plainURL.MatchString(s) || amount.MatchString(s) || strings.HasPrefix(s, "/") {
		return false
	}
	upper, lower, digit, other := 0, 0, 0, 0
	for i, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digit++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= 'A' && c <= 'Z':
			if i > 0 {
				upper++
			}
		case c == '-' || c == '_' || c == '.' || c == '/':
		default:
			other++
		}
	}
	switch {
	case digit > 0 && lower+upper > 0:
		return !objectName.MatchString(s) || digit >= 3 && !strings.ContainsAny(s, "-._/")
	case upper > 0 && lower > 0:
		return upper > 1 && !isCamel(s) || other > 0
	}
	return other > 0 && digit+lower+upper >= 4 && strings.ContainsAny(s, "!@#%^&*+~$")
}

// isCamel reports whether a word is an identifier in camel case.
func isCamel(s string) bool {
	run := 0
	for _, c := range []byte(s) {
		switch {
		case c >= 'A' && c <= 'Z':
			if run++; run > 4 {
				return false
			}
		case c >= 'a' && c <= 'z' || c == '_' || c == '.' || c == '-':
			run = 0
		default:
			return false
		}
	}
	return true
}
