package profile

import (
	"regexp"
	"slices"
	"strings"
)

// templates match names that are random by the rules of who makes them, even if
// they do not look so. Their first group varies.
var templates = []*regexp.Regexp{
	regexp.MustCompile(`^tmp[a-z0-9_]{8}$()`),                                                 // Python's tempfile without a suffix: no more is known
	regexp.MustCompile(`^tmp([a-z0-9_]{8})\.`),                                                // and with one
	regexp.MustCompile(`^tmp\.([A-Za-z0-9]{6,})$`),                                            // mktemp(1)
	regexp.MustCompile(`^php([A-Za-z0-9]{6})$`),                                               // PHP's uploads
	regexp.MustCompile(`^sess_([A-Za-z0-9,-]{20,})$`),                                         // PHP's sessions
	regexp.MustCompile(`([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})`),              // UUID
	regexp.MustCompile(`((?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?:[T_ -][0-9:.-]*[0-9]Z?)?)`), // dates and times
	regexp.MustCompile(`(\b[0-9]{8}T[0-9]{4,6}Z?\b)`),
}

// generalise replaces the parts of a file name that vary from run to run by
// "*": "temp-4711.rdb" and "temp-12.rdb" become "temp-*.rdb". It is a
// heuristic: if it takes a fixed name for a random one, the result is only a
// broader volume.
func generalise(name string) string {
	for _, re := range templates {
		at := re.FindStringSubmatchIndex(name)
		switch {
		case at == nil:
		case at[2] == at[3]:
			return "*"
		default:
			name = name[:at[2]] + "*" + name[at[3]:]
		}
	}
	var b strings.Builder
	before := "" // the word before the separator
	separator := byte(0)
	for name != "" {
		n := wordLen(name)
		word := name[:max(n, 1)]
		rest := name[max(n, 1):]
		if n > 0 {
			kept := fixedPart(word, before, separator)
			before = word
			if kept != word {
				before = ""
				word = kept + "*"
			}
		} else {
			separator = word[0]
		}
		if word != "*" || !strings.HasSuffix(b.String(), "*") {
			b.WriteString(word)
		}
		name = rest
	}
	return b.String()
}

// fixedPart returns the beginning of a word of letters and digits that does not
// vary, which is all of it for most words. separator stands before the word, and
// before is the word before that, or "" if it varies.
func fixedPart(word, before string, separator byte) string {
	switch {
	case isNumber(word):
		// The 11 of python3.11 and the 3 of libssl.so.3 are versions.
		isVersion := separator == '.' && len(word) <= 3 && before != "" && (isDigit(before[len(before)-1]) || before == "so")
		if isVersion && !isNumber(before) {
			return word
		}
		return ""
	case fixedWord.MatchString(word):
		return word
	case separator != 0 && looksMade(word), isHash(word), isRandom(word):
		return ""
	}
	// A prefix and the number of a process, or a random part.
	letters := strings.TrimRight(word, "0123456789")
	if n := len(word) - len(letters); n >= 5 || n > 0 && slices.Contains(numbered, letters) {
		return letters
	}
	if len(word) > 6 && isRandom(word[len(word)-6:]) {
		return word[:len(word)-6]
	}
	return word
}

// numbered are words that a number follows which varies.
var numbered = []string{"core", "pid", "sess", "session", "temp", "thread", "tmp"}

// fixedWord matches words that only look random.
var fixedWord = regexp.MustCompile(`^(?i:amd64|arm64|log4j2?|utf8mb[34]|v[0-9]+(?:alpha|beta|rc)[0-9]+|(?:x86|x64|ipv[46]|mp[34]|ext[234]|utf(?:8|16)|sha[0-9]{1,3}|md5|base[0-9]{2}|h26[45]|i18n|l10n|oauth2|http2)[a-z]*)$`)

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNumber(word string) bool { return word != "" && strings.Trim(word, "0123456789") == "" }

// isHash reports whether a word is a hexadecimal number. Words such as facade and
// decade90 are none.
func isHash(word string) bool {
	if strings.Trim(strings.ToLower(word), "0123456789abcdef") != "" {
		return false
	}
	changes, digits := alternations(word)
	switch {
	case len(word) >= 16:
		return digits > 0
	case len(word) >= 8:
		return digits > 2 || digits > 0 && changes >= 2
	}
	return len(word) >= 4 && digits > 0 && changes >= 2
}

// looksMade reports whether a word after a separator could have been made by
// mkstemp(3) or Python's tempfile: 6 or 8 characters that mix cases or digits
// and letters as names that people write do not.
func looksMade(word string) bool {
	if len(word) != 6 && len(word) != 8 {
		return false
	}
	_, digits := alternations(word)
	letters := strings.TrimRight(word, "0123456789")
	switch {
	case digits == 0:
		return len(word) == 6 && !plainWord.MatchString(word)
	case len(word)-len(letters) == digits: // worker1, Worker2
		return !plainWord.MatchString(letters)
	}
	changes, _ := alternations(word)
	return changes >= 2 || len(word) == 6 && isDigit(word[0])
}

// plainWord matches lower, upper, Capitalized and camelCase.
var plainWord = regexp.MustCompile(`^(?:[A-Z]*|[A-Z]?[a-z]*|[A-Z]?[a-z]{2,}[A-Z][a-z]{2,})$`)

// generalisePath generalises every component below a directory.
func generalisePath(name, dir string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
	if rest == "" {
		return dir
	}
	parts := strings.Split(rest, "/")
	last := parts[len(parts)-1]
	for i := range parts {
		parts[i] = generalise(parts[i])
	}
	// Caches distribute hashes over directories by their first or last digits.
	for i := len(parts) - 2; i >= 0 && len(last) >= 16 && isHash(last) && shard.MatchString(parts[i]); i-- {
		parts[i] = "*"
	}
	return strings.TrimSuffix(dir, "/") + "/" + strings.Join(parts, "/")
}

// shard matches a directory of hashes, also one that was generalised.
var shard = regexp.MustCompile(`^(?:[0-9a-f]{1,3}|\*)$`)

func wordLen(s string) int {
	n := strings.IndexFunc(s, func(r rune) bool { return classOf(r) == other })
	if n < 0 {
		return len(s)
	}
	return n
}

type class int

const (
	other class = iota
	lower
	upper
	digit
)

func classOf(r rune) class {
	switch {
	case 'a' <= r && r <= 'z':
		return lower
	case 'A' <= r && r <= 'Z':
		return upper
	case '0' <= r && r <= '9':
		return digit
	}
	return other
}

// isRandom reports whether a word alternates between lower case, upper case and
// digits more often than words that people write.
func isRandom(word string) bool {
	if len(word) < 6 {
		return false
	}
	changes, digits := alternations(word)
	if digits > 0 {
		return changes >= 3
	}
	return 3*changes >= 2*len(word)
}

// alternations counts the changes between lower case, upper case and digits in a
// word, and its digits.
func alternations(word string) (changes, digits int) {
	var last class
	for i, r := range word {
		c := classOf(r)
		if c == digit {
			digits++
		}
		if i > 0 && c != last {
			changes++
		}
		last = c
	}
	return changes, digits
}
