package facts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/test/disk"
)

// values returns the facts of a section, by key.
func values(facts []Fact, section Section) map[string]string {
	m := map[string]string{}
	for _, f := range facts {
		if f.Section == section {
			m[f.Key] = f.Value
		}
	}
	return m
}

func TestSSHSettings(t *testing.T) {
	root := disk.Files{
		"/etc/ssh/sshd_config": `# what Debian has
Include /etc/ssh/sshd_config.d/*.conf
#PermitRootLogin prohibit-password
permitrootlogin no	# not by password either
X11Forwarding=yes
Port 22
port 2222
AllowUsers alice "bob b"
ChallengeResponseAuthentication no
Ciphers aes256-ctr,aes128-ctr
AcceptEnv LANG LC_*
Unheard of
Subsystem sftp /usr/lib/openssh/sftp-server
Subsystem sftp internal-sftp

Match  User  eve
	PasswordAuthentication yes
	Include match.conf
	PasswordAuthentication no
Match all
	AllowUsers carol
`,
		"/etc/ssh/sshd_config.d/20.conf": "Ciphers aes256-gcm@openssh.com\nMatch Group ops\n\tPermitTTY no\n",
		"/etc/ssh/sshd_config.d/10.conf": "AllowUsers dave\nCiphers chacha20-poly1305@openssh.com\n",
		"/etc/ssh/sshd_config.d/no":      "PermitRootLogin yes\n",
		"/etc/ssh/match.conf":            "PermitTTY no\nMatch Address 10.0.0.0/8\nBanner none\n",
	}.Root(t)
	facts, unknowns := sshFacts(rootFiles{root})
	want := map[string]string{
		"PermitRootLogin": "no", "X11Forwarding": "yes", "Port": "22 2222", "AllowUsers": "dave alice bob b",
		"KbdInteractiveAuthentication": "no", "Ciphers": "chacha20-poly1305@openssh.com", "AcceptEnv": "LANG LC_*", "unheard": "of",
		"Subsystem sftp": "/usr/lib/openssh/sftp-server", "Match Group ops: PermitTTY": "no",
		"Match User eve: PasswordAuthentication": "yes", "Match User eve: PermitTTY": "no",
		"Match User eve: Match Address 10.0.0.0/8: Banner": "none", "Match all: AllowUsers": "carol",
	}
	if diff := cmp.Diff(values(facts, SSH), want); diff != "" || len(unknowns) > 0 {
		t.Errorf("unknown: %v; got, want:\n%s", unknowns, diff)
	}
}

// Of some keywords the last value wins in old releases. If the release is not known, both
// are shown.
func TestSSHSettingsOfReleases(t *testing.T) {
	for version, want := range map[string]string{
		"1:9.2p1-2+deb12u10": "2 2 2", "1:9.5p1-1": "2 1 2", "1:10.1p1-1": "1 1 2", "": "1 | 2 1 | 2 2",
	} {
		root := disk.Files{
			"/etc/ssh/sshd_config": "MaxStartups 1\nMaxStartups 2\nPerSourceMaxStartups 1\nPerSourceMaxStartups 2\nStreamLocalBindMask 1\nStreamLocalBindMask 2\n",
			"/var/lib/dpkg/status": "Package: openssh-server\nStatus: install ok installed\nVersion: " + version + "\n",
		}.Root(t)
		facts, _ := sshFacts(rootFiles{root})
		got := values(facts, SSH)
		if got := got["MaxStartups"] + " " + got["PerSourceMaxStartups"] + " " + got["StreamLocalBindMask"]; got != want {
			t.Errorf("release %s: got %q, want %q", version, got, want)
		}
	}
}

// A file that includes itself ends, and the unread part is reported.
func TestEndlessIncludes(t *testing.T) {
	d := disk.Files{
		"/etc/ssh/sshd_config":      "Port 22\nInclude sshd_config sshd_config sshd_config\n",
		"/etc/nginx/nginx.conf":     "include *.conf; include nginx.conf;",
		"/etc/apache2/apache2.conf": "Include *.conf\nInclude apache2.conf\n",
		"/etc/ssl/openssl.cnf":      ".include /etc/ssl/openssl.cnf\n.include openssl.cnf\n",
	}
	for i := range 20 {
		d[fmt.Sprintf("/etc/many/%d/%d/%d", i, i, i)] = "x"
	}
	root := d.Root(t)
	facts, unknowns := sshFacts(rootFiles{root})
	if len(unknowns) != 1 || unknowns[0].Section != SSH || values(facts, SSH)["Port"] == "" {
		t.Errorf("got %v, %v", facts, unknowns)
	}
	if _, unknowns := tlsFacts(rootFiles{root}); len(unknowns) != 3 || unknowns[0].Section != TLS {
		t.Errorf("got %v", unknowns)
	}
}

func TestTLSSettings(t *testing.T) {
	root := disk.Files{
		"/etc/ssl/openssl.cnf": `HOME = .
openssl_conf = openssl_init # for all
[ openssl_init ]
ssl_conf = ssl_sect
[ssl_sect]
system_default = system_default_sect
.include policy.cnf
[other]
MinProtocol = None
`,
		"/etc/ssl/policy.cnf": "[system_default_sect]\nMinProtocol = TLSv1.2\nCipherString = \"DEFAULT:@SECLEVEL=2\"\nMinProtocol=TLSv1.3\n",
		"/etc/nginx/nginx.conf": `events { worker_connections 768; }
http {
	ssl_protocols TLSv1.2 TLSv1.3; # no SSLv3
	ssl_ciphers "HIGH:!aNULL";
	include /etc/nginx/sites-enabled/*;
	include mime.types;
}`,
		"/etc/nginx/sites-enabled/shop": "server { listen 443 ssl; ssl_protocols TLSv1.3; } server { ssl_protocols TLSv1; }",
		"/etc/nginx/sites-available/no": "server { ssl_protocols SSLv3; }",
		"/etc/apache2/apache2.conf":     "# all\nInclude mods-enabled/*.conf\nIncludeOptional sites-enabled/*.conf\n",
		"/etc/apache2/mods-enabled/ssl.conf": "<IfModule mod_ssl.c>\n\tsslprotocol all \\\n\t\t-SSLv3\n\tSSLCipherSuite HIGH:!aNULL\n" +
			"#\tSSLHonorCipherOrder on\n</IfModule>\n",
		"/etc/ssl/certs/ca-certificates.crt": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
	}.Root(t)
	facts, unknowns := tlsFacts(rootFiles{root})
	want := map[string]string{
		"/etc/ssl/openssl.cnf: MinProtocol":                  "TLSv1.3",
		"/etc/ssl/openssl.cnf: CipherString":                 "DEFAULT:@SECLEVEL=2",
		"/etc/nginx/nginx.conf: ssl_protocols":               "TLSv1.2 TLSv1.3",
		"/etc/nginx/nginx.conf: ssl_ciphers":                 "HIGH:!aNULL",
		"/etc/nginx/sites-enabled/shop: ssl_protocols":       "TLSv1.3 | TLSv1",
		"/etc/apache2/mods-enabled/ssl.conf: SSLProtocol":    "all -SSLv3",
		"/etc/apache2/mods-enabled/ssl.conf: SSLCipherSuite": "HIGH:!aNULL",
		"/etc/ssl/certs/ca-certificates.crt: certificates":   "1, sha256:7d40fc39b7b7cd73",
	}
	if diff := cmp.Diff(values(facts, TLS), want); diff != "" || len(unknowns) > 0 {
		t.Errorf("unknown: %v; got, want:\n%s", unknowns, diff)
	}
	for name, text := range map[string]string{"nothing": "HOME = .\n", "half": "openssl_conf = a\n[a]\nssl_conf = b\n"} {
		if facts, _ := tlsFacts(rootFiles{disk.Files{"/etc/ssl/openssl.cnf": text}.Root(t)}); len(facts) > 0 {
			t.Errorf("%s: got %v", name, facts)
		}
	}
}

func TestTimers(t *testing.T) {
	enabled := func(unit string) string { return "/etc/systemd/system/timers.target.wants/" + unit }
	d := disk.Files{
		"/usr/lib/systemd/system/daily.timer":          "[Unit]\nOnCalendar=never\n[Timer]\n# each day\nOnCalendar=daily\nPersistent=yes\n",
		"/usr/lib/systemd/system/often.timer":          "[Timer]\nOnBootSec=5min\nOnUnitActiveSec=\\\n  1h\nAccuracySec=1s\n",
		"/etc/systemd/system/often.timer.d/z.conf":     "[Timer]\nAccuracySec=2s\n",
		"/usr/lib/systemd/system/often.timer.d/z.conf": "[Timer]\nOnCalendar=hidden\n",
		"/usr/lib/systemd/system/often.timer.d/readme": "[Timer]\nOnCalendar=hidden\n",
		"/run/systemd/system/often.timer.d/a.conf":     "[Timer]\nOnBootSec=\nOnCalendar=hourly\n",
		"/etc/systemd/system/local.timer":              "[Timer]\nOnCalendar=weekly\n",
		"/usr/lib/systemd/system/local.timer":          "[Timer]\nOnCalendar=hidden\n",
		"/usr/lib/systemd/system/backup@.timer":        "[Timer]\nOnCalendar=monthly\n",
		"/usr/lib/systemd/system/off.timer":            "[Timer]\nOnCalendar=hidden\n",
		"/usr/lib/systemd/system/masked.timer":         "[Timer]\nOnCalendar=hidden\n",
		"/usr/lib/systemd/system/web.service":          "[Service]\n",
		"/usr/lib/systemd/system/clean.timer":          "[Timer]\nOnBootSec=15min\n",
	}
	root := d.Links(t, disk.Files{
		enabled("daily.timer"): "/lib/systemd/system/daily.timer", enabled("often.timer"): "/usr/lib/systemd/system/often.timer",
		enabled("local.timer"): "../local.timer", enabled("backup@db.timer"): "/usr/lib/systemd/system/backup@.timer",
		enabled("masked.timer"): "/lib/systemd/system/masked.timer", "/etc/systemd/system/masked.timer": "/dev/null",
		enabled("gone.timer"): "/lib/systemd/system/gone.timer", enabled("web.service"): "/lib/systemd/system/web.service",
		"/usr/lib/systemd/system/timers.target.wants/clean.timer": "../clean.timer", "/lib": "usr/lib",
	})
	want := map[string]string{
		"daily.timer":     "OnCalendar=daily, Persistent=yes",
		"often.timer":     "OnCalendar=hourly, AccuracySec=2s",
		"local.timer":     "OnCalendar=weekly",
		"backup@db.timer": "OnCalendar=monthly",
		"clean.timer":     "OnBootSec=15min",
	}
	if diff := cmp.Diff(values(timerFacts(rootFiles{root}), Timer), want); diff != "" {
		t.Error(diff)
	}
}

// Configuration below /run is facts, because its files are not compared.
func TestRuntime(t *testing.T) {
	dir := disk.Files{
		"/run/modprobe.d/kvm.conf": "# kept\noptions kvm  nested=0\nblacklist floppy\n", "/run/tmpfiles.d/static-nodes.conf": "made\n",
		"/run/udev/rules.d/long.rules": strings.Repeat("é", 500) + "\n", "/run/modprobe.d/secret.conf": "options x key=1\n", "/run/other/x": "x\n",
		"/run/tmpfiles.d/empty.conf": "# nothing\n",
	}.Write(t)
	must(t, os.Chmod(filepath.Join(dir, "run/modprobe.d/secret.conf"), 0o600))
	want := map[string]string{
		"/run/modprobe.d/kvm.conf":     "options kvm nested=0 | blacklist floppy",
		"/run/modprobe.d/secret.conf":  "16 bytes that not everybody may read",
		"/run/tmpfiles.d/empty.conf":   "empty",
		"/run/udev/rules.d/long.rules": strings.Repeat("é", 100) + " … sha256:8b671e21c36a4d79",
	}
	if diff := cmp.Diff(values(runtimeFacts(rootFiles{disk.Open(t, dir)}), Runtime), want); diff != "" {
		t.Error("got, want:\n", diff)
	}
}

func FuzzSettings(f *testing.F) {
	f.Add("Match User eve\nPort 22 # no\nInclude *", "[a]\nb = c", "server { ssl_protocols 'a b'; } # c")
	f.Add("a=\"b", "[Timer]\nOnCalendar=a\\", "include \"x\ny\" z;;}{")
	f.Fuzz(func(t *testing.T, ssh, unit, web string) {
		for line := range strings.Lines(ssh) {
			if keyword, args := sshWords(line); keyword == "" && len(args) > 0 {
				t.Errorf("%q has arguments %q and no keyword", line, args)
			}
		}
		s := schedule{last: map[string]string{}}
		s.read(strings.Split(unit, "\n"))
		for _, words := range nginxDirectives(web) {
			if len(words) == 0 {
				t.Error("a directive without a word")
			}
		}
	})
}
