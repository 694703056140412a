package profile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	image := imageOf(t, debian, `
		d 0755 101:101 /var/lib/app
		d 0755 /usr/share/app
		f 0644 /usr/share/app/data 10
		d 0775 0:50 /srv/group
	`)
	rootfs := Rootfs{Tree: image, User: User{UID: 101, GID: 101, Groups: []uint32{50}}, Mounts: []Mount{{Path: "/etc/app", ReadOnly: true}}}
	for _, tc := range []struct {
		name, writable, readonly string
		want                     []string // path and errno; "mild" where it is
	}{
		{"nothing fails", "create /var/lib/app/x app", "create /var/lib/app/x app on /var/lib/app", nil},
		{"succeeded before", "create /var/lib/app/x app:101", "create /var/lib/app/x app:101 !EROFS", []string{"/var/lib/app/x EROFS"}},
		{"failed before, with the same error", "create /root/x app:101 !EACCES", "create /root/x app:101 !EACCES", nil},
		{"failed before, with another error", "unlink /run/x.pid app !ENOENT", "unlink /run/x.pid app !EROFS", nil},
		{"failed before, and is the end of it now", "unlink /var/lib/app/db.new app !ENOENT\ncreate /var/lib/app/db.new app", "unlink /var/lib/app/db.new app !EROFS", []string{"/var/lib/app/db.new EROFS"}},
		{"failed before, and the rest fails too", "unlink /var/lib/app/db.new app !ENOENT\ncreate /var/lib/app/db.new app", "unlink /var/lib/app/db.new app !EROFS\ncreate /var/lib/app/db.new app !EROFS", []string{"/var/lib/app/db.new EROFS"}},
		{"failed before, and another program made it", "unlink /run/x.pid app !ENOENT\ncreate /run/x.pid sh", "unlink /run/x.pid app !EROFS", nil},
		{"never seen, as root", "", "mkdir /usr/share/app/cache app !EROFS", []string{"/usr/share/app/cache EROFS"}},
		{"never seen, and the user may not", "", "mkdir /usr/share/app/cache app:101 !EROFS", nil},
		{"never seen, and the user may", "", "mkdir /var/lib/app/cache app:101 !EROFS", []string{"/var/lib/app/cache EROFS"}},
		{"never seen, and a group may", "", "create /srv/group/x app:101 !EROFS", []string{"/srv/group/x EROFS"}},
		{"never seen, and above is closed", "", "create /root/a/b app:101 !EROFS", nil},
		{"never seen, and nothing is there to remove", "", "unlink /run/x.pid app !EROFS", nil},
		{"never seen, and not the owner", "", "chmod /usr/share/app/data app:101 !EROFS", nil},
		{"never seen, and no way but volumes", "", "rename /run/a -> /tmp/b app !EXDEV", []string{"/run/a EXDEV", "/tmp/b EXDEV"}},
		{"a move that is made a copy", "rename /tmp/a -> /etc/b mv", "rename /tmp/a -> /etc/b mv !EXDEV\ncreate /etc/b mv\nunlink /tmp/a mv", []string{"/etc/b EXDEV mild", "/tmp/a EXDEV mild"}},
		{"a move that is given up", "create /tmp/a app\nrename /tmp/a -> /etc/b app", "create /tmp/a app\nrename /tmp/a -> /etc/b app !EXDEV", []string{"/etc/b EXDEV", "/tmp/a EXDEV"}},
		{"temporary names", "create /run/app.1234 app", "create /run/app.77 app !EROFS", []string{"/run/app.77 EROFS"}},
		{"another program", "create /var/lib/app/x sh", "create /var/lib/app/x app !EACCES", nil},
		{"truncate, then create", "truncate /var/lib/app/x app", "create /var/lib/app/x app !EROFS", []string{"/var/lib/app/x EROFS"}},
		{"folded before", "create /var/lib/app/* app", "create /var/lib/app/foo app !ENOSPC", []string{"/var/lib/app/foo ENOSPC"}},
		{"folded now", "create /var/lib/app/foo app", "create /var/lib/app/* app !EACCES", []string{"/var/lib/app/* EACCES"}},
		{"a race that is lost at times", "unlink /run/s app", "unlink /run/s app !ENOENT\nunlink /run/s app", nil},
		{"content that is hidden", "unlink /run/s app", "unlink /run/s app !ENOENT", []string{"/run/s ENOENT"}},
		{"the volume is full at times", "write /run/s app", "write /run/s app\nwrite /run/s app !ENOSPC", []string{"/run/s ENOSPC"}},
		{"the mount point is there already", "mkdir /run/app app", "mkdir /run/app app !EEXIST", []string{"/run/app EEXIST mild"}},
		{"byte code", "mkdir /usr/lib/x/__pycache__ python3", "mkdir /usr/lib/x/__pycache__ python3 !EROFS", []string{"/usr/lib/x/__pycache__ EROFS mild"}},
		{"asked about data", "access /var/lib/app app:101", "access /var/lib/app app:101 !EROFS", []string{"/var/lib/app EROFS"}},
		{"asked about data that it may not write", "", "access /root app:101 !EROFS", nil},
		{"asked about programs", "access /usr/share/app app", "access /usr/share/app app !EROFS", []string{"/usr/share/app EROFS mild"}},
		{"tried again", "create /run/x app", "create /run/x app !EINTR", nil},
		{"a volume that is read-only on purpose", "", "create /etc/app/x app !EROFS on /etc/app", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, f := range Compare(traces(traceOf(t, tc.writable)), traces(traceOf(t, tc.readonly)), rootfs) {
				s := f.Path + " " + f.Errno
				if f.Mild {
					s += " mild"
				}
				got = append(got, s)
				if f.Reason == "" {
					t.Errorf("no reason for %s", s)
				}
			}
			if diff := cmp.Diff(got, tc.want); diff != "" {
				t.Errorf("failures (-got +want):\n%s", diff)
			}
		})
	}
}

// TestFilesOfTheRuntime checks that a failure names what a pod can set, where no
// volume can help.
func TestFilesOfTheRuntime(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/hosts": "hostAliases", "/etc/resolv.conf": "dnsConfig", "/etc/hostname": "hostname", "/etc/hosts.allow": "",
	} {
		rootfs := Rootfs{Tree: imageOf(t, debian), Mounts: []Mount{{Path: path}}}
		before, now := traceOf(t, "write "+path+" app"), traceOf(t, "write "+path+" app !EROFS on "+path)
		list := Compare(traces(before), traces(now), rootfs)
		if len(list) != 1 || !strings.Contains(list[0].Reason, want) || want == "" && strings.Contains(list[0].Reason, " in the pod ") {
			t.Errorf("%s: got %+v", path, list)
		}
	}
}
