package redact

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLine(t *testing.T) {
	const hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	tests := map[string]struct{ line, want string }{
		"plain text":           {"worker_processes auto;", "worker_processes auto;"},
		"proxy_pass":           {"  proxy_pass http://backend:8080;", "  proxy_pass http://backend:8080;"},
		"author":               {"author: Jane Doe", "author: Jane Doe"},
		"mapping":              {"mapping: a", "mapping: a"},
		"server_tokens":        {"server_tokens off;", "server_tokens off;"},
		"a long path":          {"/usr/lib/x86_64-linux-gnu/perl5/Template/Plugin/Filter.pm", "/usr/lib/x86_64-linux-gnu/perl5/Template/Plugin/Filter.pm"},
		"a long identifier":    {"net.ipv4.tcp_keepalive_probes_interval", "net.ipv4.tcp_keepalive_probes_interval"},
		"assignment":           {"password=hunter2", "password=[redacted value]"},
		"environment":          {"export DB_PASSWORD='hunter 2' X=1", "export DB_PASSWORD=[redacted value] X=1"},
		"JSON":                 {`{"api_key": "abc\"d", "n": 1}`, `{"api_key": [redacted value], "n": 1}`},
		"YAML":                 {"  client-secret: hunter2", "  client-secret: [redacted value]"},
		"upper case":           {"SECRET_KEY_BASE: x", "SECRET_KEY_BASE: [redacted value]"},
		"Ruby":                 {":password => 'x'", ":password => [redacted value]"},
		"weak word":            {"pwd: x", "pwd: [redacted value]"},
		"weak word in name":    {"db.pass=x", "db.pass=[redacted value]"},
		"redis":                {"requirepass hunter2", "requirepass [redacted value]"},
		"netrc":                {"machine a login b password c", "machine a login b password [redacted value]"},
		"argument":             {"mysql --password hunter2 -h x", "mysql --password [redacted value] -h x"},
		"XML":                  {"<password>hunter2</password>", "<password>[redacted value]</password>"},
		"URL":                  {"postgres://app:hunter2@db/x", "postgres://app:[redacted password]@db/x"},
		"bearer":               {"curl -H 'X: Bearer abcdefgh12'", "curl -H 'X: Bearer [redacted value]'"},
		"GitHub":               {"x ghp_abcdefghijklmnopqrstuvwxyz0123456789", "x [redacted token]"},
		"AWS":                  {"id AKIAIOSFODNN7EXAMPLE", "id [redacted token]"},
		"token of a setting":   {"token: ghp_abcdefghijklmnopqrstuvwxyz0123456789", "token: [redacted token]"},
		"JWT":                  {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "[redacted token]"},
		"crypt":                {"u:$6$salt$abcdefgh:1", "u:[redacted hash]:1"},
		"LDAP":                 {"userPw {SSHA}abcdefgh", "userPw [redacted hash]"},
		"hexadecimal":          {"k " + hex, "k [redacted value]"},
		"base64":               {"k dGhpcyBJUyBhIHZlcnkgU2VjcmV0IGtleQ==", "k [redacted value]"},
		"base64 with slashes":  {"k 9Qw/x8LmZr+T1vBn/Ky5dHs2GcFj0PqAe4Ui/Xo6", "k [redacted value]"},
		"text in quotes":       {`- debug: msg="pw x1y2z3"`, `- debug: msg="pw [redacted value]`},
		"tag of an image":      {"image: nginx:1.25@sha256:" + hex, "image: nginx:1.25@sha256:" + hex},
		"private key in a row": {"-----BEGIN PRIVATE KEY-----", "[redacted private key]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(Line(tt.line), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("password=hunter2", "x")
	f.Add("-----BEGIN PRIVATE KEY-----", "AAAA")
	f.Fuzz(func(t *testing.T, line, secret string) {
		// A value that is named a password is never shown.
		if len(secret) < 4 || strings.ContainsAny(secret, "\"'\\ \t\r\n\v\f,;&\u0085\u00a0") || strings.Contains("password=[redacted value]private keytokenhash", secret) {
			return
		}
		if strings.Contains(Line("password="+secret), secret) {
			t.Errorf("%q is shown", secret)
		}
		_ = Line(line)
	})
}
