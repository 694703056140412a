package redact

import (
	"math"
	"path"
	"strings"
)

// runs marks runs of base64 or hexadecimal characters that look random.
func (m *marker) runs() {
	s := m.content
	public := m.shown
	for i := 0; i < len(s); {
		for len(public) > 0 && i >= public[0].to {
			public = public[1:]
		}
		if len(public) > 0 && i >= public[0].from {
			i = public[0].to
			continue
		}
		if !isRun(s[i]) {
			i++
			continue
		}
		end := i
		for end < len(s) && isRun(s[end]) {
			end++
		}
		if end-i >= minRandom && !m.isDigest(i, end) {
			m.run(i, end)
		}
		i = end
	}
}

// run marks a run that looks random, or the names in a path that do.
func (m *marker) run(from, to int) {
	s := m.content
	if !isWordy(s[from:to]) && looksRandom(s[from:to]) {
		for to < len(s) && s[to] == '=' { // the padding of base64
			to++
		}
		m.hide(from, to, value)
		return
	}
	for from < to {
		end := strings.IndexByte(s[from:to], '/')
		if end < 0 {
			end = to - from
		}
		if part := s[from : from+end]; !isWordy(part) && looksRandom(part) {
			m.hide(from, from+end, value)
		}
		from += end + 1
	}
}

// isWordy reports whether a run is a path or an identifier: most of its parts or
// characters are words. Random characters have few runs of lower case.
func isWordy(s string) bool {
	letters, parts, words := 0, 0, 0
	for part := range strings.SplitSeq(s, "/") {
		n := wordLetters(part)
		letters += n
		parts++
		if n > 0 && n >= len(part)-2 {
			words++
		}
	}
	return letters*10 >= len(s)*6 || parts > 2 && words*2 >= parts
}

// wordLetters returns how many characters of s are in words of at least 3 letters, which
// can begin with a capital.
func wordLetters(s string) int {
	total, run := 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || run == 0 && s[i] >= 'A' && s[i] <= 'Z') {
			run++
			continue
		}
		if run >= 4 || run == 3 && i == len(s) {
			total += run
		}
		if run = 0; i < len(s) && s[i] >= 'A' && s[i] <= 'Z' {
			run = 1
		}
	}
	return total
}

// isDigest reports whether a run is the digest of a file or of an image, which its
// context says: sha256:…, sha512-…, or a list of digests and files.
func (m *marker) isDigest(from, to int) bool {
	s := m.content
	if m.format.isDigests && isHex(s[from:to]) {
		return true
	}
	for _, name := range [...]string{"sha1", "sha256", "sha384", "sha512", "md5"} {
		if from > len(name) && s[from-1] == ':' && strings.HasSuffix(s[:from-1], name) && isHex(s[from:to]) {
			return true
		}
		if rest, ok := strings.CutPrefix(s[from:to], name+"-"); ok && len(rest) >= 27 && name != "md5" {
			return true
		}
	}
	return false
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// holdsDigests reports whether a file is a list of digests by its name.
func holdsDigests(name string) bool {
	base := strings.ToLower(path.Base(name))
	return strings.HasSuffix(base, "sums") || strings.HasSuffix(base, ".sum") || strings.HasPrefix(name, "/var/lib/dpkg/") ||
		strings.HasSuffix(base, ".sha256") || strings.HasSuffix(base, ".md5") || base == "record" || base == "machine-id" || strings.HasPrefix(base, "package-lock") ||
		strings.HasPrefix(base, "ca-certificates")
}

func isRun(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("+/_-", c) >= 0
}

// minRandom is the fewest characters that are judged.
const minRandom = 20

// looksRandom reports whether a run is a hexadecimal number of 128 bits or more,
// or a long run that mixes cases and digits with much entropy, as base64 does.
func looksRandom(s string) bool {
	if len(s) < minRandom {
		return false
	}
	var upper, lower, digit, other int
	isHex := true
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digit++
		case c >= 'a' && c <= 'z':
			lower++
			isHex = isHex && c <= 'f'
		case c >= 'A' && c <= 'Z':
			upper++
			isHex = isHex && c <= 'F'
		default:
			other++
			isHex = false
		}
	}
	// A hexadecimal digit has at most 4 bits of entropy, so that the limit is lower.
	if isHex {
		return len(s) >= 32 && entropy(s) > 2.5
	}
	if upper == 0 || lower == 0 || digit == 0 {
		return len(s) >= 40 && digit > 0 && other*10 < len(s) && entropy(s) > 4.2
	}
	return entropy(s) > 3.7 && other*8 < len(s)
}

// entropy is Shannon's, in bits for each character.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}
