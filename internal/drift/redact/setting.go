package redact

import (
	"regexp"
	"strings"
)

var (
	// The first word of a line is a name, and a blank separates its value.
	firstSetting = regexp.MustCompile(`^\s*(?:(?:export|set|setenv|SetEnv|ENV|ARG|declare|local|readonly|env|define|#define|defaults|Defaults|-[a-zA-Z]|-)\s+)*(["']?)([\p{L}_@.][\p{L}\p{N}_.@/-]*)(["']?)\s+`)
	argument     = regexp.MustCompile(`(?:^|[\s"'` + "`" + `,\[({])(?:--?|/|:)([A-Za-z][\w.-]*)["']?(?:,\s*|\s+)`)
	call         = regexp.MustCompile(`(?:^|[^\w$])([A-Za-z_$][\w.$:>-]*)\(\s*`)
	pamLine      = regexp.MustCompile(`^-?(?:account|auth|password|session)\s+(?:required|requisite|sufficient|optional|include|substack|\[[^\]]*\])\s+\S+`)
)

// Programs and functions whose string arguments hold a password without a name.
var connects = set(`mysqli_connect mysql_connect mysqli pg_connect PDO oci_connect ftp_login ldap_bind HTTPBasicAuth HTTPDigestAuth BasicAuth basic_auth basicAuth SetBasicAuth setBasicAuth ` +
	`login Login authenticate auth.PlainAuth PlainAuth smtp.login connect.login psycopg2.connect Credentials UsernamePasswordCredentials PasswordAuthentication NetworkCredential ` +
	`http_basic getConnection DBI->connect createPassword putenv setenv os.Setenv`)

// Words that follow a word for a secret in sentences.
var proseWords = set("is are was were be been being for of to in into the a an and or not nor when if that this these those from with without on by can could will would must should shall " +
	"may might has have had which who used using use uses file files prompt prompts field fields database databases has again at as than then so but via per do does did too only " +
	"based authentication authenticated authenticating auth handling hash hashes hashed hashing aging change changed changes changing entry entries string strings value values name names " +
	"length type types policy policies protected expired expires expiry expiration manager management storage store stored cache caching quality check checks checking checked module modules " +
	"setting settings option options support supported required requires requirement database lookup lookups it its you your we our they them their there here where because while until " +
	"before after between during about over under agent agents update updates updating reset resets service services server servers client clients user users key keys login mode modes " +
	"encryption encrypted provided needed given set get gets found missing invalid incorrect wrong empty mismatch attempt attempts failed failure ok valid verification validation verify " +
	"ring rings ids id source sources generation generator generated algorithm algorithms strength complexity history backend backends program programs command helper output input " +
	"lines line list lists parameter parameters argument arguments variable variables information data size format formats text bucket buckets ttl lifetime api endpoint request requests " +
	"exchange refresh access security secure system systems group groups less stack stacks ask asks asked asking against also any all each every both either neither no none one two " +
	"passes through cache daemon accordingly automatically separately manually plain plaintext clear cleartext shown hidden unset disabled enabled")

// hasSecretWord reports whether a line, in lower case, holds a word for secrets.
func hasSecretWord(lower string) bool {
	for _, word := range hints {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

var hints = []string{"pass", "pwd", "pw", "secret", "token", "credential", "creds", "key", "psk", "pin", "auth", "dsn", "salt", "cookie", "passwort", "kennwort", "contrase", "senha", "clave", "пароль", "密"}

func isComment(text string) bool {
	for _, mark := range []string{"#", ";", "//", "*", "/*", "--", "!", "<!--", "rem ", "REM ", `.\"`, `"`, "'", "%"} {
		if strings.HasPrefix(text, mark) {
			return true
		}
	}
	return false
}

// settings finds secrets that a blank separates from their name: settings, arguments,
// calls and sentences.
func (s *scanner) settings(line view, text string) {
	lower := lowerASCII(line.s)
	if strings.Contains(lower, "(") && (hasSecretWord(lower) || strings.Contains(lower, "connect") || strings.Contains(lower, "login") || strings.Contains(lower, "pdo") || strings.Contains(lower, "sql") || strings.Contains(lower, "bind") || strings.Contains(lower, "env")) {
		s.calls(line)
	}
	if !hasSecretWord(lower) || s.format.isTable || s.format.isPAM && pamLine.MatchString(text) {
		return
	}
	s.arguments(line)
	isNote := isComment(text) && !strings.HasPrefix(text, "--") || s.format.isProse
	if !isNote && s.first(line) {
		return
	}
	s.sentence(line, isNote)
}

// arguments hides the values of --password x and -storepass x.
func (s *scanner) arguments(line view) {
	last := 0
	for _, at := range argument.FindAllStringSubmatchIndex(line.s, -1) {
		name := line.s[at[2]:at[3]]
		how := strengthOf(name)
		if at[1] < len(line.s) && (line.s[at[1]] == '=' || line.s[at[1]] == ':') {
			continue
		}
		if isShortFlag(name) {
			if end := shellWord(line.s, at[1]); isSuspicious(line.s[at[1]:end]) && !strings.Contains(line.s[at[1]:end], "/") {
				s.hideIn(line, at[1], end, value)
			}
			continue
		}
		if how == none || how == about || at[2] < last || redactedAt(line.s[at[1]:]) > 0 {
			continue
		}
		end := shellWord(line.s, at[1])
		last = end
		arg := line.s[at[1]:end]
		if strings.HasPrefix(arg, "-") && len(arg) > 1 && arg[1] != ' ' && strings.HasPrefix(strings.TrimLeft(arg, "-"), "-") || s.isHarmless(arg, how) {
			continue
		}
		s.hideIn(line, at[1], end, value)
	}
}

// isShortFlag reports whether an option is a short one that often takes a password.
func isShortFlag(name string) bool { return name == "p" || name == "P" || name == "w" }

// shellWord returns where a word of a shell ends.
func shellWord(s string, i int) int {
	var quote byte
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case isBlank(c):
			return i
		}
	}
	return min(i, len(s))
}

// calls hides the strings that are passed to a function with the name of a secret, and
// to those that connect with one.
func (s *scanner) calls(line view) {
	reached := 0
	for _, at := range call.FindAllStringSubmatchIndex(line.s, -1) {
		name := line.s[at[2]:at[3]]
		last := name[strings.LastIndexAny(name, ".>:")+1:]
		if strengthOf(last) != strong && !connects[last] && !connects[name] {
			continue
		}
		if at[2] < reached {
			continue
		}
		end := s.bracket(line.s, at[1]-1)
		reached = end
		s.open, s.quote = 0, ""
		s.hideStrings(line, at[1], end, connects[last] || connects[name])
	}
}

// hideStrings hides the strings in a part of a line.
func (s *scanner) hideStrings(line view, from, to int, all bool) {
	for i := from; i < to; i++ {
		if c := line.s[i]; c == '"' || c == '\'' || c == '`' {
			s.quote = string(c)
			end := s.close(line.s, i+1)
			s.quote = ""
			if text := strings.Trim(line.s[i:end], `"'`+"`"); all || strings.ContainsAny(text, "0123456789!@#$%^&*+") || strings.ToLower(text) != text {
				if !isEnvironmentName(text) {
					s.hideIn(line, i, end, value)
				}
			}
			i = end - 1
		}
	}
}

// isEnvironmentName reports whether a string is the name of a variable: DB_PASSWORD.
func isEnvironmentName(s string) bool {
	return strings.Contains(s, "_") && strings.ToUpper(s) == s && strengthOf(s) != none && !strings.ContainsAny(s, "0123456789=")
}

// first hides what comes after a name at the start of a line, and reports whether there
// is one.
func (s *scanner) first(line view) bool {
	at := firstSetting.FindStringSubmatchIndex(line.s)
	if at == nil || at[1] >= len(line.s) {
		return false
	}
	name := line.s[at[4]:at[5]]
	if passed[name] || strings.HasSuffix(name, ".") && s.format.isProse {
		return false
	}
	how := strengthOf(name)
	rest := line.s[at[1]:]
	next := firstWord(rest)
	switch {
	case how == none || how == about:
		return false
	case strings.HasPrefix(next, "=") || strings.HasPrefix(next, ":") || strings.HasPrefix(next, "(") || next == "{" || redactedAt(rest) > 0:
		return false
	case how == weak && !isSuspicious(next):
		return false
	case proseWords[strings.ToLower(strings.Trim(next, ".,;:!?"))] && strings.ContainsAny(strings.TrimSpace(rest), " \t"):
		return false
	case s.isHarmless(rest, how) || s.isHarmless(next, how) && s.isHarmless(strings.TrimSpace(rest[len(next):]), strong):
		return false
	case s.format.isCode && !isSuspicious(next) && next[0] != '"' && next[0] != '\'':
		return false
	}
	if rest[0] == '"' || rest[0] == '\'' {
		s.quoted(line, at[1], how)
		return true
	}
	s.hideIn(line, at[1], len(line.s), value)
	return true
}

// passed are settings of web servers whose value is an address that is passed to.
var passed = set("proxy_pass fastcgi_pass uwsgi_pass scgi_pass grpc_pass memcached_pass ProxyPass proxypass ProxyPassReverse ProxyPassMatch PassEnv auth_basic auth_request AuthType AuthName AuthBasicProvider")

// sentence hides what looks like a secret after a word for one.
func (s *scanner) sentence(line view, isNote bool) {
	text := line.s
	for i := 0; i < len(text); {
		for i < len(text) && isBlank(text[i]) {
			i++
		}
		end := i
		for end < len(text) && !isBlank(text[end]) {
			end++
		}
		raw := text[i:end]
		if raw == "" {
			return
		}
		// msg="password x"
		word := strings.Trim(raw[strings.LastIndexAny(raw[:len(raw)-1], "=\"'(")+1:], "\"'`(),.*_<>[]#;/$")
		ended := strings.HasSuffix(raw, ".") || strings.HasSuffix(raw, ",") && isNote
		i = end
		if len(word) == 0 || len(word) > 40 || ended || raw[0] == '-' || !isSecretNoun(word) {
			continue
		}
		at, next := wordAfter(text, end)
		lower := strings.ToLower(strings.Trim(next, ".,;:!?"))
		for hops := 0; hops < 3 && (linking[lower] || secretNouns[lower] || proseWords[lower]); hops++ {
			at, next = wordAfter(text, at+len(next))
			lower = strings.ToLower(strings.Trim(next, ".,;:!?"))
		}
		if next == "" || redactedAt(text[at:]) > 0 {
			continue
		}
		isQuoted := next[0] == '"' || next[0] == '\'' || next[0] == '`'
		plain := strings.Trim(next, "\"'`.,;:()!?")
		switch {
		case isSuspicious(next) || isQuoted && !isNote && !s.format.isCode && !proseWords[strings.ToLower(plain)] && len(plain) > 2 && s.format.isSettings:
		case !isNote && s.format.isSettings && !proseWords[lower] && !s.isHarmless(next, strong) && isPlainValue(plain):
		default:
			continue
		}
		s.hideIn(line, at, len(text), value)
		return
	}
}

var (
	linking     = set("is are was be = == := to : -> will")
	secretNouns = set("password passwd passphrase secret token passcode pwd pass psk pw passwort kennwort credential credentials key pin bearer contraseña senha 'password' hash")
)

func isSecretNoun(word string) bool {
	if passed[word] {
		return false
	}
	lower := strings.ToLower(word)
	if secretNouns[lower] && lower != "key" && lower != "hash" {
		return true
	}
	return (len(word) > 5 || strings.ContainsAny(word, "_-.")) && isWord(word) && !strings.Contains(word, "/") && strengthOf(word) == strong
}

// isPlainValue reports whether a word can be the value of a setting, and is no operator,
// option or bracket.
func isPlainValue(s string) bool {
	return s != "" && strings.IndexByte("=-|<>&([{", s[0]) < 0 && strings.ContainsFunc(s, func(r rune) bool { return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' || r >= 0x80 })
}

func wordAfter(s string, i int) (int, string) {
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	end := i
	for end < len(s) && !isBlank(s[end]) {
		end++
	}
	return i, s[i:end]
}
