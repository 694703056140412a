package profile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestGeneraliseCorpus has names that real programs give their files, with the
// part that varies.
func TestGeneraliseCorpus(t *testing.T) {
	for name, want := range map[string]string{
		"foo-Ab3xYz": "foo-*", "foo-aBcdEf": "foo-*", "foo-1a2b3c": "foo-*", "tmp.1a2b3c": "tmp.*", "tmp.abcdefghij": "tmp.*",
		"sess_ab12cd34ef56ab12cd34ef56ab": "sess_*", "sess_abcdefghijklmnopqrstuvwxyz": "sess_*", "cache.7f3d.lock": "cache.*.lock",
		"tmpk3j2xx1a": "*", "tmpzunicgby": "*", "tmpab3d_x9q.json": "tmp*.json", "phpqwerty": "php*", "phpAb3xYz": "php*",
		"wgunicorn-k3j2xx1a": "wgunicorn-*", "pymp-k3j2xx1a": "pymp-*",
		"0000000001": "*", "pgsql_tmp123.4": "pgsql_tmp*.*", "core.1234": "core.*", "db12345": "db*",
		"systemd-private-9f86d081884c7d659a2feaa0c55ad015-ntp.service-Ab12Cd": "systemd-private-*-ntp.service-*",
		"3f2a1c9d-8b7e-4f6a-9c1d-2e3f4a5b6c7d.log":                            "*.log",
		"access.log.1": "access.log.*", "access.log.2.gz": "access.log.*.gz", "access.log-20240102": "access.log-*",
		"app.2024-01-02.log": "app.*.log", "app-2024-01-02T03:04:05Z.log": "app-*.log", "dump-20240102T030405Z.rdb": "dump-*.rdb",
		".nfs00000000000a1b2c00000003": ".*", ".goutputstream-3Z9K21": ".goutputstream-*", "npm-4711-abc1ef12": "npm-*-*",
		"temp-4711.rdb": "temp-*.rdb", "mysqld.4711.sock": "mysqld.*.sock", "liblz4-java-123456789012.so": "liblz4-java-*.so",
	} {
		if got := generalise(name); got != want {
			t.Errorf("generalise(%q) = %q, want %q", name, got, want)
		}
		if got := generalise(generalise(name)); got != generalise(name) {
			t.Errorf("generalise(%q) changes again to %q", name, got)
		}
	}
	for _, name := range strings.Fields(`libfoo2.so libssl.so.3 python3.11 python3 access_log error.log nginx1 nginx.pid sha256sums SHA256SUMS md5sums
		facade decade deadbeef decade90 facade.html log4j2.xml utf8mb4.frm hsperfdata_root tomcat10 php8.2-fpm.pid worker-1a worker1 Worker2
		my-worker1 app-myFile.txt app-Server.conf MyAppData ActiveMQ README.md dump.rdb appendonly.aof ibdata1 ib_logfile0 mysql.sock
		hosts.allow passwd.lock machine-id ld.so.cache tmpfiles.d tmp uploads base64url ipv6addr x86linux x64 v1beta1 h264enc l10n
		client_body_temp proxy_temp fastcgi_temp .X11-unix .s.PGSQL node_modules package-lock.json config-oauth2.yml mod-ipv4.so ca-cert.pem`) {
		if got := generalise(name); got != name {
			t.Errorf("generalise(%q) = %q, but it does not vary", name, got)
		}
	}
	for name, want := range map[string]string{
		"/var/cache/nginx/c/29/b7f54b2df7773722d382f4809d65029c": "/var/cache/nginx/*/*/*",
		"/var/cache/app/a/b": "/var/cache/app/a/b",
	} {
		if got := generalisePath(name, strings.Join(strings.Split(name, "/")[:4], "/")); got != want {
			t.Errorf("generalisePath(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestGeneraliseRandomNames checks the share of names of mkstemp(3), with 62
// characters, and of Python's tempfile, with 37, that are one path.
func TestGeneraliseRandomNames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const all = "abcdefghijklmnopqrstuvwxyz0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, tc := range []struct {
		format  string
		letters string
		n       int
		least   float64
	}{
		{"foo-%s", strings.ReplaceAll(all, "_", ""), 6, 0.93},
		{"foo.%s", strings.ReplaceAll(all, "_", ""), 6, 0.93},
		{".foo.conf.%s", strings.ReplaceAll(all, "_", ""), 6, 0.93},
		{"tmp.%s", strings.ReplaceAll(all, "_", ""), 10, 1},
		{"foo-%s", "0123456789abcdef", 8, 0.95},
		{"foo-%s", "0123456789abcdef", 32, 1},
		{"sess_%s", "0123456789abcdefghijklmnopqrstuv", 26, 1},
		{"tmp%s", all[:37], 8, 1},
	} {
		const rounds = 1000
		same := 0
		for range rounds {
			var random strings.Builder
			for range tc.n {
				random.WriteByte(tc.letters[r.IntN(len(tc.letters))])
			}
			got := generalise(fmt.Sprintf(tc.format, random.String()))
			if got == fmt.Sprintf(tc.format, "*") || got == "*" {
				same++
			}
		}
		if share := float64(same) / rounds; share < tc.least {
			t.Errorf("%s with %d characters: %.1f %% are one path, want %.1f %%", tc.format, tc.n, 100*share, 100*tc.least)
		}
	}
}
