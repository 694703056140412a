package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExposes checks which volumes are pointed out because they make code or
// configuration writable, and what could be mounted instead.
func TestExposes(t *testing.T) {
	for _, tc := range []struct {
		name, image, trace string
		exposes            string
		files              []string
	}{
		{"accounts that are replaced", "", "create /etc/passwd.new sh\nrename /etc/passwd.new -> /etc/passwd sh\nwrite /etc/group sh",
			"the configuration of all programs, accounts and certificates", []string{"/etc/group", "/etc/passwd"}},
		{"a file that is made in /etc", "", "create /etc/app.conf sh",
			"the configuration of all programs, accounts and certificates", []string{"/etc/app.conf"}},
		{"data beside code", "f 0755 /srv/app/run 1\nf /srv/app/lib.py 1\nf /srv/app/db 1", "create /srv/app/tmp.1234 app\nwrite /srv/app/db app\nunlink /srv/app/tmp.1234 app",
			"2 programs, scripts and libraries, such as /srv/app/lib.py", []string{"/srv/app/db"}},
		{"one library", "f /srv/app/lib.so.1 1", "create,unlink /srv/app/x app", "/srv/app/lib.so.1", nil},
		{"modules", "d /srv/node_modules", "create /srv/node_modules/x.js npm", "a directory of programs", []string{"/srv/node_modules/x.js"}},
		{"programs in /usr", "", "create /usr/bin/x sh", "a directory of programs", []string{"/usr/bin/x"}},
		{"data", "d /var/lib/app\nf /var/lib/app/seed 1", "create /var/lib/app/x app", "", nil},
		{"a single file", "", "write /etc/passwd sh", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Derive(Input{Traces: traces(traceOf(t, tc.trace)), Rootfs: Rootfs{Tree: imageOf(t, debian, tc.image)}})
			if len(c.Volumes) != 1 {
				t.Fatalf("volumes are %+v", c.Volumes)
			}
			v := c.Volumes[0]
			if v.Exposes != tc.exposes {
				t.Errorf("exposes %q, want %q", v.Exposes, tc.exposes)
			}
			if diff := cmp.Diff(v.Files, tc.files); diff != "" {
				t.Errorf("files (-got +want):\n%s", diff)
			}
		})
	}
}
