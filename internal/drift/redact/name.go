package redact

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A strength is how certainly the value of a setting is a secret.
type strength int

const (
	none   strength = iota
	about           // the setting is about a secret: password_file, token_ttl
	weak            // a secret unless it looks harmless: key, auth
	strong          // a secret unless it can be none: true, ${NAME}
)

// maxName is the most bytes of a name that are looked at: its end.
const maxName = 96

// strengthOf returns what the name of a setting tells of its value.
func strengthOf(name string) strength {
	name = strings.TrimRight(name, "_-.$ ")
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	words := wordsOf(unescapeName(name))
	if len(words) == 0 {
		return none
	}
	last := words[len(words)-1]
	joined := strings.Join(words, "")
	if isStrong(words, joined) {
		if aboutWords[last] && len(words) > 1 {
			return about
		}
		return strong
	}
	switch {
	case last == "key" || last == "keys" || strings.HasSuffix(last, "key") && len(last) > 5:
		if len(words) > 1 && publicKeys[words[len(words)-2]] || harmlessNames[last] {
			return none
		}
		return weak
	case weakLast[last], strings.HasSuffix(last, "cookie") || strings.HasSuffix(last, "auth"):
		return weak
	case last == "data" && len(words) > 1 && (words[len(words)-2] == "certificate" || words[len(words)-2] == "key" || words[len(words)-2] == "authority"):
		return weak
	case hasAny(words, "oauth") || hasAny(words, "aws") && hasAny(words, "key", "id"):
		return weak
	}
	return none
}

func isStrong(words []string, joined string) bool {
	for _, part := range strongParts {
		if strings.Contains(joined, part) {
			return true
		}
	}
	for i, w := range words {
		switch {
		case strongWords[w]:
			if passWords[w] && i+1 < len(words) && notAfterPass[words[i+1]] {
				continue
			}
			return true
		case strings.HasSuffix(w, "token") || strings.HasSuffix(w, "tokens") || strings.HasPrefix(w, "token") && len(w) <= 6:
			return true
		case harmlessNames[w]:
		case len(w) > 4 && len(w) <= 16 && (strings.HasSuffix(w, "pass") || strings.HasSuffix(w, "pwd") || strings.HasSuffix(w, "psk")):
			return true
		case len(w) > 3 && len(w) <= 12 && strings.HasSuffix(w, "pw"):
			return true
		case i+1 < len(words) && w == "seed" && words[i+1] == "phrase":
			return true
		}
	}
	last := words[len(words)-1]
	return strongLast[last]
}

func hasAny(words []string, any ...string) bool {
	for _, w := range words {
		for _, a := range any {
			if w == a {
				return true
			}
		}
	}
	return false
}

// The words in the names of settings. Parts are looked for in the whole name without
// its separators.
var (
	strongParts = []string{
		"password", "passwd", "passwort", "passphrase", "passcode", "passkey", "kennwort", "contrasena", "contraseña", "motdepasse", "wachtwoord",
		"senhade", "парол", "密码", "密碼", "口令", "パスワード", "비밀번호", "secret", "credential", "apikey", "accesskey", "privatekey", "privkey",
		"signingkey", "encryptionkey", "encryptkey", "decryptionkey", "masterkey", "clientkey", "sharedkey", "sessionkey", "accountkey", "storagekey",
		"authkey", "licensekey", "licencekey", "deploykey", "recoverykey", "wepkey", "hmackey", "fernetkey", "appkey", "accesstoken", "authtoken",
		"connectionstring", "connstr", "connectionuri", "rocommunity", "rwcommunity", "trapcommunity", "requirepass", "masterauth", "bearer", "webhookurl", "recoverycode", "backupcode",
		"sharedaccesssignature", "mnemonicphrase", "databaseurl", "keydata",
	}
	strongWords = set("pass pw pwd pwds passwds psk salt creds cred otp totp jwt jwts dsn mnemonic storepass keypass passwort senha clave mdp haslo parola authorization")
	passWords   = set("pass")
	// proxy_pass, PassEnv, pass-through: the value is passed, and is no secret.
	notAfterPass = set("through thru header headers env fail by along rate count if on all args arguments phrase request body parameters")
	strongLast   = set("sk")
	weakLast     = set("auth cookie cookies pin pins sig signature community nonce seed session sessionid sid license licence serial hash digest basic unlock puk")
	publicKeys   = set("public pub foreign primary sort partition cache host index map object group composite unique hot arrow search routing label annotation lookup " +
		"short bind function join dict message translation modifier meta compose config registry any press enter escape tab home end sysrq super alt shift ctrl control left right")
	harmlessNames = set("compass bypass trespass surpass overpass underpass encompass multipass cwd oldpwd pwd_ monkey turkey hotkey hockey keyboard whiskey jockey donkey turnkey passkeyless")
	// A name that ends so is about a secret and has a value that is none.
	aboutWords = set("file files filename path paths dir directory directories location url uri endpoint type types ttl timeout length len size min max minimum maximum age days " +
		"expiry expiration expires expire expired policy policies algorithm algo alg method methods mode format encoding encryption name names ref refs keyref enabled enable " +
		"disabled required require allowed allow prompt prompts tries retries attempts count limit limits interval period rounds iterations history strength quality reuse " +
		"change changed changes lifetime version provider providers helper backend command cmd script hint label placeholder description title message field column table regex " +
		"pattern charset header issuer audience scope scopes realm authentication authenticator agent manager service socket server host port group user username owner class selector " +
		"complexity validation validator check checks error errors rotation warning warn inactive stdin only store storage id_hint bits cost delay lookup source sources " +
		"filter filters parser verify verification requisite sufficient login warn_age request requests review reviews cookie_name needed")
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// wordsOf splits a name into its words in lower case, at separators and changes of
// case. Digits at the end of a word are not part of it.
func wordsOf(name string) []string {
	var words []string
	var word []rune
	end := func() {
		for len(word) > 0 && unicode.IsDigit(word[len(word)-1]) {
			word = word[:len(word)-1]
		}
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
		}
		word = word[:0]
	}
	for i, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && len(word) > 0:
			next, _ := utf8.DecodeRuneInString(name[i+utf8.RuneLen(r):])
			if last := word[len(word)-1]; !unicode.IsUpper(last) || unicode.IsLower(next) {
				end()
			}
		}
		word = append(word, r)
	}
	end()
	return words
}

// unescapeName resolves \u0061 in the name of a setting.
func unescapeName(s string) string {
	if !strings.Contains(s, `\u`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+6 <= len(s) && s[i+1] == 'u' {
			if n, err := strconv.ParseUint(s[i+2:i+6], 16, 16); err == nil {
				b.WriteRune(rune(n))
				i += 5
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
