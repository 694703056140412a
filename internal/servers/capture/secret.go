package capture

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// secretPlaces are files that are secret whatever their content: patterns of
// path.Match for a whole path or a name.
var secretPlaces = []string{
	"/etc/krb5.keytab", "/etc/docker/key.json", "/etc/mysql/debian.cnf", "/etc/ppp/*-secrets", "/etc/ipsec.secrets", "/etc/wireguard/*.conf", "/etc/exim4/passwd.client",
	"/etc/postfix/sasl_passwd*", "*.keytab", "*.p12", "*.pfx", "*.jks", "*.keystore", ".pgpass", ".my.cnf", ".netrc", ".htpasswd", "id_rsa",
	"id_ed25519", "id_ecdsa",
}

// privateKey matches the beginning of any private key in PEM, also within JSON. It
// does not match in the middle of a line, where programs hold the text to compare
// with it.
var privateKey = regexp.MustCompile(`(?m)^\s*-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----|"private_key"\s*:\s*"-----BEGIN`)

// password matches a setting whose value is a password.
var password = regexp.MustCompile(`(?mi)^[ \t]*["']?[\w.\-]*(passw(or)?d|passphrase|secret|requirepass|masterauth|token|api_?key|credential)[\w.\-]*["']?[ \t]*[=: \t][ \t]*["']?[^\s"'#;=:]`)

// secretIn returns why a file must not be in an image, empty if it may. Passwords
// count only in files that not every user may read: others are no secret, and words
// such as these occur everywhere.
func secretIn(e tree.Entry, head []byte) string {
	isPlace := func(p string) bool {
		ok, _ := path.Match(p, e.Path)
		named, _ := path.Match(p, path.Base(e.Path))
		return ok || named
	}
	switch {
	case e.Path == "/etc/shadow" || e.Path == "/etc/gshadow":
		return "" // see placeOf
	case isText(head) && privateKey.Match(head), path.Ext(e.Path) == ".key" && !isText(head):
		return "a private key"
	case slices.ContainsFunc(secretPlaces, isPlace):
		return "it is known to hold keys or passwords"
	case e.Mode&0o004 == 0 && isText(head) && password.Match(head) && !strings.HasPrefix(e.Path, "/usr/"):
		return "not everybody may read it, and it has a password"
	}
	return ""
}

func isText(head []byte) bool { return !bytes.ContainsRune(head, 0) }
