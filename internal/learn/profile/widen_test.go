package profile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

func failures(t *testing.T, text string) []Failure {
	t.Helper()
	var out []Failure
	for _, a := range traceOf(t, text).Accesses {
		out = append(out, Failure{Access: a, Reason: "test"})
	}
	return out
}

func TestWiden(t *testing.T) {
	for _, tc := range []struct {
		name, image, writes, failed string
		before, after               []string
	}{
		{
			name:   "a write that was not seen before",
			image:  "d /var/cache/app",
			writes: "create /run/app.pid app", failed: "create /var/cache/app/page app !EROFS",
			before: []string{"/run copy-up"},
			after:  []string{"/run copy-up", "/var/cache/app"},
		},
		{
			name:   "the program insists on making its directory",
			writes: "mkdir /var/lib/foo foo\ncreate /var/lib/foo/x foo", failed: "mkdir /var/lib/foo foo !EEXIST",
			before: []string{"/var/lib/foo"},
			after:  []string{"/var/lib copy-up"},
		},
		{
			name:   "the program removes its directory at the end",
			writes: "mkdir /run/foo foo\ncreate /run/foo/x foo", failed: "rmdir /run/foo foo !EBUSY",
			before: []string{"/run/foo"},
			after:  []string{"/run copy-up"},
		},
		{
			name:   "a file is replaced by another",
			writes: "write /etc/passwd sh", failed: "rename /etc/passwd.new -> /etc/passwd sh !EBUSY",
			before: []string{"/etc/passwd file subpath=passwd copy-up"},
			after:  []string{"/etc copy-up"},
		},
		{
			name:   "a rename between two volumes",
			image:  "d /var/lib/app/in\nd /var/lib/app/out",
			writes: "create /var/lib/app/in/x app\ncreate /var/lib/app/out/y app", failed: "rename /var/lib/app/in/x -> /var/lib/app/out/x app !EXDEV",
			before: []string{"/var/lib/app/in", "/var/lib/app/out"},
			after:  []string{"/var/lib/app copy-up"},
		},
		{
			name:   "the owner of the volume is wrong",
			image:  "d 0777 /var/lib/app",
			writes: "create /var/lib/app/x app:7", failed: "chmod /var/lib/app app:7 !EPERM",
			before: []string{"/var/lib/app"},
			after:  []string{"/var/lib/app subpath=app copy-up 0777 0:0"},
		},
		{
			name:   "a mode that matters in one directory",
			image:  "d 0700 7:7 /var/lib/app\nd 0750 7:7 /var/log/app",
			writes: "create /var/lib/app/x app\ncreate /var/log/app/y app", failed: "mkdir /var/lib/app/z app !EACCES",
			before: []string{"/var/lib/app", "/var/log/app"},
			after:  []string{"/var/lib/app copy-up 0700 7:7", "/var/log/app"},
		},
		{
			name:   "nothing failed, and yet it is not ready",
			image:  "d /run/sshd",
			writes: "create /run/sshd/x sshd", failed: "",
			before: []string{"/run/sshd"},
			after:  []string{"/run/sshd copy-up 0755 0:0"},
		},
		{
			name:   "the program fills the directory only if it has to make it",
			writes: "mkdir /var/lib/foo foo\ncreate /var/lib/foo/x foo\nmkdir /run/foo foo\nmkdir /run/bar foo", failed: "",
			before: []string{"/run/bar", "/run/foo", "/var/lib/foo"},
			after:  []string{"/run copy-up", "/var/lib copy-up"},
		},
		{
			name:   "nothing failed in a directory that everyone may write",
			writes: "create /tmp/x app 100", failed: "",
			before: []string{"/tmp"},
			after:  []string{"/tmp copy-up 1777 0:0"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rootfs := Rootfs{Tree: imageOf(t, debian, tc.image)}
			c := Derive(Input{Traces: traces(traceOf(t, tc.writes)), Rootfs: rootfs})
			if diff := cmp.Diff(shortAll(c.Volumes), tc.before); diff != "" {
				t.Fatalf("before (-got +want):\n%s", diff)
			}
			wide, changed := Widen(c, rootfs, failures(t, tc.failed))
			if diff := cmp.Diff(shortAll(wide.Volumes), tc.after); diff != "" {
				t.Errorf("after (-got +want):\n%s", diff)
			}
			if !changed {
				t.Error("says that nothing changed")
			}
			for range 4 {
				wide, changed = Widen(wide, rootfs, failures(t, tc.failed))
			}
			if changed {
				t.Error("the same evidence never stops widening")
			}
		})
	}
}

// Only root can set owners. Root's volumes keep those that differ; another user
// gets copies of its own until a proof has shown that this does not work.
func TestKeepOwners(t *testing.T) {
	for _, tc := range []struct {
		name, image string
		user        User
		exact       bool
		want        bool
	}{
		{"root, and all is root's", "f /srv/app/x 1", User{}, false, false},
		{"root, and a service user's file", "f 7:7 /srv/app/x 1", User{}, false, true},
		{"root, and a group's file", "f 0:4 /srv/app/x 1", User{}, false, true},
		{"a user, and all is its own", "d 7:7 /srv/app\nf 7:7 /srv/app/x 1", User{UID: 7, GID: 7}, true, false},
		{"a user, and root's file", "d 7:7 /srv/app\nf /srv/app/x 1", User{UID: 7, GID: 7}, false, false},
		{"a user, and root's file, after a failed proof", "d 7:7 /srv/app\nf /srv/app/x 1", User{UID: 7, GID: 7}, true, true},
		{"a user, and a file of one of its groups", "d 7:7 /srv/app\nf 7:8 /srv/app/x 1", User{UID: 7, GID: 7, Groups: []uint32{8}}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rootfs := Rootfs{Tree: imageOf(t, debian, tc.image), User: tc.user}
			c := Derive(Input{Traces: traces(traceOf(t, "create /srv/app/new app")), Rootfs: rootfs})
			c.Exact = tc.exact
			c = Plan(c, rootfs)
			if v := c.Volumes[0]; v.MountPath != "/srv/app" || !v.CopyUp || v.KeepOwners != tc.want {
				t.Errorf("got %+v, want keepOwners %t", v, tc.want)
			}
			if *c.User != (UserGroup{tc.user.UID, tc.user.GID}) {
				t.Errorf("user is %+v", c.User)
			}
		})
	}
}

// An image can fill its volumes itself if it has all programs for that in its
// $PATH, also behind links, as busybox has them.
func TestCopyTools(t *testing.T) {
	links := "d /bin\nf 0755 /bin/busybox 1\n"
	for _, tool := range []string{"sh", "cp", "mv", "rm", "mkdir", "chmod", "chown"} {
		links += "l /bin/" + tool + " -> busybox\n"
	}
	for _, tc := range []struct {
		name, image, path string
		want              bool
	}{
		{"busybox", links, "", true},
		{"elsewhere", strings.ReplaceAll(links, "/bin", "/tools"), "/x:/tools", true},
		{"not in the path", strings.ReplaceAll(links, "/bin", "/tools"), "", false},
		{"without cp", strings.ReplaceAll(links, "l /bin/cp -> busybox\n", ""), "", false},
		{"not to be executed", strings.ReplaceAll(links, "0755", "0644"), "", false},
		{"nothing", "d /app", "", false},
	} {
		c := Derive(Input{Rootfs: Rootfs{Tree: imageOf(t, tc.image), Path: tc.path}})
		if *c.CopyTools != tc.want {
			t.Errorf("%s: got %t", tc.name, *c.CopyTools)
		}
	}
}

// TestPlanKeeps checks that what runs have shown of a volume outlives a new plan,
// and that a limit of an earlier version, which seconds of load were the reason
// for, does not.
func TestPlanKeeps(t *testing.T) {
	rootfs := Rootfs{Tree: imageOf(t, debian)}
	c := Derive(Input{Traces: traces(traceOf(t, "create /run/x app")), Rootfs: rootfs})
	was := &c.Volumes[0]
	was.Need, was.Used, was.Durable, was.SizeLimit, was.Medium = Hard, 4096, "yes", "16Mi", memory
	want := *was
	want.SizeLimit, want.Medium = "", ""
	c, _ = Widen(c, rootfs, []Failure{{Access: trace.Access{Op: trace.Create, Path: "/srv/x", Errno: "EROFS"}}})
	if diff := cmp.Diff(c.Volumes[0], want); diff != "" {
		t.Errorf("after widening (-got +want):\n%s", diff)
	}
}
