package profile

import "strings"

// generalise replaces the parts of a file name that vary from run to run by
// "*": "temp-4711.rdb" and "temp-12.rdb" become "temp-*.rdb". It is a
// heuristic: if it takes a fixed name for a random one, the result is only a
// broader volume.
func generalise(name string) string {
	// Python's tempfile uses eight characters of [a-z0-9_].
	if word := strings.ReplaceAll(name, "_", ""); len(name) == len("tmp")+8 && strings.HasPrefix(name, "tmp") && wordLen(word) == len(word) && word == strings.ToLower(word) {
		return "*"
	}
	var b strings.Builder
	for name != "" {
		n := wordLen(name)
		word := name[:max(n, 1)]
		if n > 0 && varies(word) {
			word = "*"
		}
		if word != "*" || !strings.HasSuffix(b.String(), "*") {
			b.WriteString(word)
		}
		name = name[max(n, 1):]
	}
	return b.String()
}

// generalisePath generalises every component below a directory.
func generalisePath(name, dir string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
	if rest == "" {
		return dir
	}
	parts := strings.Split(rest, "/")
	for i := range parts {
		parts[i] = generalise(parts[i])
	}
	return strings.TrimSuffix(dir, "/") + "/" + strings.Join(parts, "/")
}

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

// varies reports whether a word of letters and digits is a number, a hash, or a
// random name of mkstemp(3).
func varies(word string) bool {
	digits := strings.IndexFunc(word, func(r rune) bool { return classOf(r) == digit }) >= 0
	number := digits && strings.Trim(word, "0123456789") == ""
	hash := digits && len(word) >= 8 && strings.Trim(strings.ToLower(word), "0123456789abcdef") == ""
	return number || hash || isRandom(word)
}

// isRandom reports whether a word alternates between lower case, upper case and
// digits more often than words that people write.
func isRandom(word string) bool {
	if len(word) < 6 {
		return false
	}
	changes, digits := 0, false
	var last class
	for i, r := range word {
		c := classOf(r)
		digits = digits || c == digit
		if i > 0 && c != last {
			changes++
		}
		last = c
	}
	if digits {
		return changes >= 3
	}
	return 3*changes >= 2*len(word)
}
