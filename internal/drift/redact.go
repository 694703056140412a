package drift

import (
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
)

// redactor removes everything that looks like a secret from the lines of a file. If
// it is not certain, it removes the text: a diff with a gap is better than a leak.
type redactor struct {
	isShadow bool
	hidden   map[int]string // by line from 0: kind of the secret that spans the line
}

// newRedactor searches a whole file for secrets that span several lines.
func newRedactor(name, content string) *redactor {
	base := path.Base(name)
	r := &redactor{
		isShadow: strings.HasPrefix(base, "shadow") || strings.HasPrefix(base, "gshadow") || strings.HasSuffix(base, "htpasswd"),
		hidden:   map[int]string{},
	}
	var block hiddenBlock
	n := 0
	for line := range strings.Lines(content) {
		if what := block.next(line); what != "" {
			r.hidden[n] = what
		}
		n++
	}
	return r
}

// line returns line number n, from 0, without its secrets.
func (r *redactor) line(n int, s string) string {
	if what, ok := r.hidden[n]; ok {
		return redacted(what)
	}
	if r.isShadow {
		if user, rest, ok := strings.Cut(s, ":"); ok && isHash(rest) {
			_, rest, _ = strings.Cut(rest, ":")
			s = user + ":" + redacted("hash") + ":" + rest
		}
	}
	return Redact(s)
}

// isHash reports whether the password field of a shadow line is a hash, and not
// the mark of a locked account.
func isHash(fields string) bool {
	field, _, _ := strings.Cut(fields, ":")
	return strings.Trim(field, "!*x") != ""
}

func redacted(what string) string { return "[redacted " + what + "]" }

// hiddenBlock tracks secrets of several lines: private keys, and YAML block scalars
// under a key that names a secret.
type hiddenBlock struct {
	inKey  bool
	indent int // of the YAML key whose lines are hidden, plus 1
}

var (
	keyBegin   = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----`)
	keyEnd     = regexp.MustCompile(`-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----`)
	blockStart = regexp.MustCompile(`^( *(?:- )?)["']?([\w.-]+)["']?:\s*[|>][-+0-9]*\s*$`)
)

// next takes the next line and returns the name of the secret that it is part of,
// or "".
func (b *hiddenBlock) next(line string) string {
	line = strings.TrimRight(line, "\r\n")
	if b.inKey {
		b.inKey = !keyEnd.MatchString(line)
		return "private key"
	}
	if keyBegin.MatchString(line) {
		b.inKey = !keyEnd.MatchString(line)
		return "private key"
	}
	if b.indent > 0 {
		if strings.TrimSpace(line) == "" {
			return ""
		}
		if len(line)-len(strings.TrimLeft(line, " ")) >= b.indent {
			return "value"
		}
		b.indent = 0
	}
	if m := blockStart.FindStringSubmatch(line); m != nil && secretKey.MatchString(m[2]) {
		b.indent = len(m[1]) + 1
	}
	return ""
}

// The words in the names of settings that hold a secret: some wherever they
// occur, some only as a word of their own (author, mapping and proxy_pass hold
// none).
const (
	strongWord = `(?:passw(?:or)?d|passphrase|passcode|secret|token|credentials?|` +
		`(?:api|access|private|signing|encryption|account|master|session|shared|client|auth)[_.-]?key|connection[_.-]?string)`
	weakWord  = `(?:pass|pwd|pin|psk|salt|dsn|cookie|auth|authorization|requirepass|masterauth)`
	secretFor = `(?:` + strongWord + `[\w.-]*|(?:\b|_)` + weakWord + `(?:[_.-][\w.-]*)?)` // without what comes before the word
	value     = `(\[redacted [a-z ]+\]|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&]+)`
)

var (
	secretKey = regexp.MustCompile(`(?i)` + secretFor + `$`)

	// An assignment: password=…, "password": "…", export DB_PASSWORD='…', pass => …
	assignment = regexp.MustCompile(`(?i)(` + secretFor + `["']?\s*(?:=>|:=|[:=])\s*)` + value)
	// A setting with a blank: requirepass …, password …; an argument: --password …
	setting = regexp.MustCompile(`(?i)((?:passw(?:or)?d|passphrase|requirepass|masterauth|secret|token|psk)\s+)` +
		`(\[redacted [a-z ]+\]|"[^"]*"?|'[^']*'?|[^\s,;&:=]\S*)`)
	// An element: <password>…</password>
	element  = regexp.MustCompile(`(?i)(` + secretFor + `(?:\s[^>]*)?>)([^<]+)`)
	userinfo = regexp.MustCompile(`(://[^\s/:@]*:)([^\s/@]+)(@)`)
	header   = regexp.MustCompile(`(?i)(\b(?:bearer|basic|digest|negotiate)\s+)([A-Za-z0-9._~+/=-]{8,})`)
	crypt    = regexp.MustCompile(`\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]*)\$[^\s:"',]+`)
	scheme   = regexp.MustCompile(`\{(?:SSHA|SHA|MD5|SMD5|CRYPT|SSHA512|SSHA256|PBKDF2)\}\S+`)

	// Tokens whose prefix names their issuer.
	tokenStarts = []string{"gh", "glpat-", "xox", "akia", "asia", "aroa", "aida", "aiza", "ya29.", "sk-", "k_", "npm_", "pypi-", "pat_", "hf_", "hv", "dop_v1_", "sg.", "eyj", "age-secret"}

	token = regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|` +
		`(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{12,}|AIza[\w-]{30,}|ya29\.[\w-]+|sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{10,}|npm_\w{20,}|` +
		`pypi-[\w-]{20,}|dckr_pat_[\w-]{16,}|hf_\w{20,}|hv[sb]\.[\w-]{20,}|dop_v1_\w{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|` +
		`eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|AGE-SECRET-KEY-1\w+)`)
)

// Redact returns a line of text without the values that look like secrets: values of
// settings whose names are those of secrets, passwords in URLs, password hashes,
// well-known tokens, and strings that look random.
func Redact(s string) string {
	for _, r := range redactions {
		if r.mayApply(s) {
			s = r.pattern.ReplaceAllString(s, r.replacement)
		}
	}
	return redactRuns(s)
}

// A redaction is one pattern, in the order in which they are applied. Patterns
// are slow, and most lines hold none of the words that each needs.
type redaction struct {
	pattern     *regexp.Regexp
	replacement string
	words       []string // one of which a line must hold, in lower case
}

var redactions = []redaction{
	{keyBegin, redacted("private key"), []string{"-----begin"}},
	{token, redacted("token"), tokenStarts},
	{crypt, redacted("hash"), []string{"$"}},
	{scheme, redacted("hash"), []string{"{"}},
	{userinfo, "${1}" + redacted("password") + "${3}", []string{"://"}},
	{header, "${1}" + redacted("value"), []string{"bearer", "basic", "digest", "negotiate"}},
	{element, "${1}" + redacted("value"), []string{"</"}},
	{assignment, "${1}" + redacted("value"), secretHints},
	{setting, "${1}" + redacted("value"), []string{"pass", "auth", "secret", "token", "psk"}},
}

// secretHints are in every name that secretFor knows.
var secretHints = []string{"pass", "pwd", "pin", "psk", "salt", "dsn", "cookie", "auth", "secret", "token", "key", "credential", "string"}

func (r redaction) mayApply(s string) bool {
	lower := strings.ToLower(s)
	return slices.ContainsFunc(r.words, func(word string) bool { return strings.Contains(lower, word) })
}

// redactRuns replaces runs of base64 or hexadecimal characters that look random.
func redactRuns(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := 0
		for n < len(s) && isRun(s[n]) {
			n++
		}
		end := n
		if n > 0 {
			shown := redactRandom(s[:n])
			b.WriteString(shown)
			for shown != s[:n] && end < len(s) && s[end] == '=' { // the padding of base64
				end++
			}
			n = end
		}
		for end < len(s) && !isRun(s[end]) {
			end++
		}
		b.WriteString(s[n:end])
		s = s[end:]
	}
	return b.String()
}

func isRun(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("+/_-", c) >= 0
}

// redactRandom replaces a run of characters that looks random. It checks the names in
// a path separately.
func redactRandom(s string) string {
	if looksRandom(s) {
		return redacted("value")
	}
	if !strings.Contains(s, "/") {
		return s
	}
	parts := strings.Split(s, "/")
	for i, part := range parts {
		if looksRandom(part) {
			parts[i] = redacted("value")
		}
	}
	return strings.Join(parts, "/")
}

// looksRandom reports whether a run is a hexadecimal number of 128 bits or more,
// or a long run that mixes cases and digits with much entropy, as base64 does.
func looksRandom(s string) bool {
	if len(s) < 20 {
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
