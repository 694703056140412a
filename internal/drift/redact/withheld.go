package redact

import (
	"path"
	"regexp"
	"strings"
)

// Files that are secrets by nature, by their name, with the reason. Names are in lower
// case.
var secretFiles = []struct {
	pattern *regexp.Regexp // of the path
	reason  string
}{
	{regexp.MustCompile(`/(?:shadow|gshadow|opasswd|master\.passwd|\.?htpasswd|\.?htdigest|spwd\.db|passdb\.tdb|smbpasswd|sasldb2?)(?:[-~.][^/]*)?$|\.(?:htpasswd|htdigest)$`), "it holds hashes of passwords"},
	{regexp.MustCompile(`/(?:id|ssh_host)_(?:rsa|dsa|ecdsa|ed25519|xmss)(?:_sk)?(?:_key)?(?:[-~.](?:bak|old|orig|key|pem|priv))?$|/identity$|/\.ssh/(?:id_[^/.]*|[^/]*_(?:rsa|ed25519|key))$`), "it is a private key"},
	{regexp.MustCompile(`\.(?:key|pvk|ppk|p8|pk8|priv|private|privkey|nskey|snk|asc\.key)(?:[-~.](?:bak|old|orig))?$|/(?:[^/]*[-_.])?priv(?:ate)?[-_]?key(?:[-_.][^/]*)?$`), "it is a private key"},
	{regexp.MustCompile(`\.(?:p12|pfx|jks|jceks|bcfks|keystore|truststore|kdbx?|psafe3|agilekeychain|opvault|keychain|keychain-db|keytab|kwallet|wallet|gpg-key|age|ovpn-key|tdb|pgp|gpg)(?:[-~.](?:bak|old|orig))?$|/[^/]*keytab$|/secring[^/]*$|/keystore$|/wallet\.dat$`), "it is a store of keys"},
	{regexp.MustCompile(`/private-keys-v1\.d/|/openpgp-revocs\.d/|/\.password-store/|/\.gnupg/|/ssl/private/|/pki/(?:tls/)?private/|/private/[^/]*\.(?:pem|der)$|/privkey\d*\.pem$|[-_.](?:key|priv|private)\.(?:pem|der)$|/key\.(?:pem|der)$`), "it is a private key"},
	{regexp.MustCompile(`(?:^|/)(?:run|etc|app|mnt|vault|config|opt|srv|data)/(?:[^/]+/)*\.?secrets?/|/run/credentials/|/credstore(?:\.encrypted)?/|/vault/secrets/|/\.secrets?/`), "it is a mounted secret"},
	{regexp.MustCompile(`/serviceaccount/|/\.vault-token$|/\.(?:[a-z0-9]+[-_])*(?:token|tokens|secret|secrets|passwd|password|passphrase|pass|pw|apikey|api_key|credential|credentials|creds)$`), "it is a token or password"},
	{regexp.MustCompile(`/\.?pgpass(?:\.conf)?$|/[._]netrc(?:\.gpg)?$|/\.git-credentials$|/\.authinfo(?:\.gpg)?$|/\.mylogin\.cnf$|/\.fetchmailrc$|/\.msmtprc$|/\.smbcredentials$|/\.cifs[^/]*$|/\.dockercfg$|/\.docker/config\.json$|/\.?dockerconfigjson$|/containers/auth\.json$|/\.rediscli_auth$|/\.my\.login$|/\.erlang\.cookie$|/\.xauthority$|/\.iceauthority$|/auth\.json$|/htaccess\.pw$|/(?:sasl_)?passwd\.(?:client|db)$|/sasl_passwd[^/]*$`), "it holds passwords"},
	{regexp.MustCompile(`/\.aws/(?:credentials|sso/|cli/cache/)|/\.azure/(?:accesstokens|msal_token_cache|service_principal)|/gcloud/(?:credentials|access_tokens|legacy_credentials|application_default_credentials)|/\.config/gh/hosts\.yml$|/credentials\.tfrc\.json$|/\.terraformrc$|/\.boto$|/\.s3cfg$|/\.passwd-s3fs$|/passwd-s3fs$|/rclone\.conf$|/\.cargo/credentials(?:\.toml)?$|/\.gem/credentials$|/\.pypirc$|/\.oci/|/\.kaggle/|/\.config/op/|/\.config/sops/|/\.sops/`), "it holds credentials"},
	{regexp.MustCompile(`/(?:chap|pap|srp)-secrets$|/ipsec\.secrets$|/rsyncd?\.secrets$|/\.?secrets?$|[^/]\.(?:secrets?|passwd|password|passphrase|pwd|pw|token|credentials|creds)$|/(?:userpass|user-pass|auth-user-pass|auth\.txt|userlist\.txt|passwords?\.txt|password)$|/snmpd?\.conf\.d/[^/]*secret|/var/lib/snmp/`), "it holds passwords"},
}

var (
	// Files with data whose name is that of a secret: db_password.txt, secrets.yaml.
	secretData = set(".txt .yaml .yml .json .toml .ini .conf .cfg .env .properties .xml .enc .b64 .csv .dat .bin .list .hex .old .bak")
	secretName = regexp.MustCompile(`(?:^|[._-])(?:secrets?|passwords?|passphrases?|credentials?|tokens?|apikeys?|api[_-]keys?|creds|pass|pwd|htpasswd|jwt[_-]?key|master[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|access[_-]?key|secret[_-]?key|unseal[_-]?keys?|recovery[_-]?codes?|service[_-]?account|kubeadmin-password|bootstrap-token)$`)
	// The start of a file that is a secret whatever its name is.
	secretStart = regexp.MustCompile(`^(?:\s|#[^\n]*\n)*(?:-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d|-----BEGIN OpenVPN Static key|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY|\$ANSIBLE_VAULT;|age-encryption\.org/|AGE-SECRET-KEY-|Private-key-format: )`)
	serviceKey  = regexp.MustCompile(`"type"\s*:\s*"(?:service_account|authorized_user|external_account)"`)
)

// Withheld returns why the content of a file is not shown at all, because the file is a
// secret by nature, or "".
func Withheld(name, content string) string {
	lower := strings.ToLower(name)
	if strings.HasSuffix(lower, ".pub") {
		return ""
	}
	switch head := content[:min(len(content), 16<<10)]; {
	case strings.Contains(head, "$ANSIBLE_VAULT;") && secretStart.MatchString(head):
		return "it is encrypted"
	case secretStart.MatchString(head):
		return "it is a private key"
	case strings.HasPrefix(strings.TrimSpace(head), "{") && serviceKey.MatchString(head):
		return "it holds credentials"
	}
	for _, f := range secretFiles {
		if f.pattern.MatchString(lower) {
			return f.reason
		}
	}
	base := path.Base(lower)
	ext := path.Ext(base)
	switch {
	case strings.Contains(lower, "/pam.d/") || strings.HasPrefix(lower, "/usr/") || shebang.MatchString(content[:min(len(content), 256)]) || strings.HasSuffix(lower, "/passwd"):
		return ""
	case secretData[ext] && secretName.MatchString(strings.TrimSuffix(base, ext)), ext == "" && secretName.MatchString(base):
		return "its name is that of a secret"
	}
	return ""
}
