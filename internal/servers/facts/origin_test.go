package facts

import "testing"

func TestIsReadFrom(t *testing.T) {
	for _, f := range []struct {
		fact, file string
		want       bool
	}{
		{"timer a.timer", "/etc/systemd/system/a.timer.d/x.conf", true},
		{"timer a.timer", "/etc/systemd/system/a.timer.d", true},
		{"service a.timer", "/etc/systemd/system/timers.target.wants/a.timer", true},
		{"service web.service", "/etc/rc2.d/S01web", true},
		{"service web.service", "/etc/web.service", false},
		{"running web.service", "/usr/lib/systemd/system/web.service", true},
		{"ssh Port", "/etc/ssh/ssh_config", false},
		{"tls /etc/ssl/certs/ca-certificates.crt: certificates", "/etc/ssl/certs/My_CA.pem", true},
		{"cron /etc/cron.daily/logrotate", "/etc/cron.daily/logrotate", true},
		{"cron /etc/cron.daily/man-db", "/etc/cron.weekly/man-db", false},
		{"sysctl vm.swappiness", "/etc/sysctl.conf", false},
	} {
		if got := IsReadFrom(f.fact, f.file); got != f.want {
			t.Errorf("%s from %s: got %v", f.fact, f.file, got)
		}
	}
}
