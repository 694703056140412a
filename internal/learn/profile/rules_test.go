package profile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// TestDeriveRules has one case for each rule by which mounts are chosen.
func TestDeriveRules(t *testing.T) {
	for _, tc := range []struct {
		name, image, trace string
		want               []string
		unsolved           []string
	}{
		{name: "nothing is written", trace: "", want: nil},
		{
			name:  "a file of the image among configuration, in place",
			trace: "write /etc/passwd sh", want: []string{"/etc/passwd file subpath=passwd copy-up"},
		},
		{
			name: "and replaced by a new one", trace: "create /etc/passwd.new sh\nrename /etc/passwd.new -> /etc/passwd sh",
			want: []string{"/etc copy-up"},
		},
		{
			name: "a file of the image among data, in place", image: "d 0755 /srv/app\nf /srv/app/db 10\nf /srv/app/readme 10",
			trace: "write /srv/app/db app", want: []string{"/srv/app copy-up"},
		},
		{
			name: "too many single files", image: "f /etc/app/a\nf /etc/app/b\nf /etc/app/c\nf /etc/app/d",
			trace: "write /etc/app/a x\nwrite /etc/app/b x\nchmod /etc/app/c x\ntruncate /etc/app/d x",
			want:  []string{"/etc/app copy-up"},
		},
		{
			name: "a file and a directory made in the root", trace: "create,write /app.log app\nmkdir /state app\ncreate /state/x app",
			want: []string{"/app.log file subpath=app.log copy-up 0644 0:0", "/state"},
		},
		{
			name: "a file that comes and goes in the root", trace: "create /lock app\nunlink /lock app\ncreate /run/x app",
			want: []string{"/run copy-up"}, unsolved: []string{"/lock"},
		},
		{
			name: "a directory made among other programs'", trace: "mkdir /var/lib/foo foo\nmkdir /var/lib/foo/deep foo\ncreate /var/lib/foo/deep/x foo",
			want: []string{"/var/lib/foo"},
		},
		{
			name: "two of them", trace: "mkdir /var/lib/foo foo\nmkdir /var/lib/bar foo", want: []string{"/var/lib/bar", "/var/lib/foo"},
		},
		{
			name: "four of them", trace: "mkdir /var/lib/a foo\nmkdir /var/lib/b foo\nmkdir /var/lib/c foo\nmkdir /var/lib/d foo",
			want: []string{"/var/lib copy-up"},
		},
		{
			name: "one that has another name each time", trace: "mkdir /var/lib/foo.Xy3Qz9 foo", want: []string{"/var/lib copy-up"},
		},
		{
			name: "one that is removed", trace: "mkdir,rmdir /var/lib/foo foo", want: []string{"/var/lib copy-up"},
		},
		{
			name: "one that is renamed", trace: "mkdir /var/lib/foo.new foo\nrename /var/lib/foo.new -> /var/lib/foo foo", want: []string{"/var/lib copy-up"},
		},
		{
			name: "one with a colon", trace: "mkdir /var/lib/a:b foo", want: []string{"/var/lib copy-up"},
		},
		{
			name: "a directory of the image with a colon", image: "d /srv/a:b\nf /srv/c 1", trace: "create /srv/a:b/x foo", want: []string{"/srv copy-up"},
		},
		{
			name: "one in an empty directory", trace: "mkdir /srv/foo foo\ncreate /srv/foo/x foo", want: []string{"/srv"},
		},
		{
			name: "one in a directory for temporary files", image: "f /tmp/left 1", trace: "mkdir /tmp/foo foo", want: []string{"/tmp copy-up"},
		},
		{
			name: "made by someone who is not root, who changes its mode", image: "d 0755 7:7 /home/app\nf 7:7 /home/app/.profile 1",
			trace: "mkdir,chmod /home/app/.data app:7\ncreate /home/app/.data/x app:7",
			want:  []string{"/home/app/.data subpath=.data copy-up 0755 7:7"},
		},
		{
			name: "attributes of a directory alone", image: "d 0755 /srv/app/data\nf /srv/app/x 1", trace: "chown /srv/app/data sh",
			want: []string{"/srv/app/data"},
		},
		{
			name: "O_TMPFILE", image: "d /srv/app/data", trace: "tmpfile /srv/app/data app", want: []string{"/srv/app/data"},
		},
		{
			name: "many names", image: "d /srv/app/data", trace: "create /srv/app/data/* app\nmkdir /var/lib/foo/* app",
			want: []string{"/srv/app/data", "/var/lib/foo"},
		},
		{
			name: "a hard link between directories", image: "d /srv/app/a\nd /srv/app/b", trace: "create /srv/app/a/x app\nlink /srv/app/b/x -> /srv/app/a/x app",
			want: []string{"/srv/app copy-up"},
		},
		{
			name: "a hard link to a file of the image", image: "f /srv/app/a/x 1\nd /srv/app/b", trace: "link /srv/app/b/x -> /srv/app/a/x app",
			want: []string{"/srv/app copy-up"},
		},
		{
			name: "a move into a directory of code", image: "f 0755 /srv/app/run 1\nd /srv/app/a\nd /srv/app/b", trace: "create /srv/app/a/x app\nrename /srv/app/a/x -> /srv/app/b/x app",
			want: []string{"/srv/app/a", "/srv/app/b"},
		},
		{
			name: "a move between top directories", trace: "create /tmp/x sh\nrename /tmp/x -> /etc/x mv",
			want: []string{"/etc copy-up", "/tmp"},
		},
		{
			name: "four directories of one program", image: "d /srv/app/a\nd /srv/app/b\nd /srv/app/c\nd /srv/app/d\nf /srv/app/e 1",
			trace: "create /srv/app/a/x app\ncreate /srv/app/b/x app\ncreate /srv/app/c/x app\ncreate /srv/app/d/x app",
			want:  []string{"/srv/app copy-up"},
		},
		{
			name: "four directories of several", image: "d /var/log/a\nd /var/log/b\nd /var/log/c\nd /var/log/d",
			trace: "create /var/log/a/x app\ncreate /var/log/b/x app\ncreate /var/log/c/x app\ncreate /var/log/d/x app",
			want:  []string{"/var/log/a", "/var/log/b", "/var/log/c", "/var/log/d"},
		},
		{
			name: "byte code", trace: "mkdir /usr/lib/app/__pycache__ python3\ncreate /usr/lib/app/__pycache__/x.pyc.123 python3", want: nil,
		},
		{
			name: "a directory that was asked about", image: "d 0755 /srv/data\nf /srv/x 1", trace: "access /srv/data app", want: []string{"/srv/data"},
		},
		{
			name: "a file of the image that was asked about", image: "d 0755 /srv/data\nf /srv/data/db 1", trace: "access /srv/data/db app", want: []string{"/srv/data copy-up"},
		},
		{
			name: "a directory that was made, asked about", trace: "mkdir /var/lib/foo app\naccess /var/lib/foo app\naccess /var/lib/foo/x app", want: []string{"/var/lib/foo"},
		},
		{
			name: "programs and configuration that were asked about", image: "f 0755 /srv/app/run 1\nf /srv/lib/app.py 1\nd /srv/lib/x",
			trace: "access / app\naccess /etc app\naccess /usr/lib app\naccess /srv/app app\naccess /srv/lib/app.py app", want: nil,
		},
		{
			name: "extended attributes in a runtime directory", image: "d /run/app", trace: "create,xattr /run/app/x app", want: []string{"/run/app"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Derive(Input{Traces: traces(traceOf(t, tc.trace)), Rootfs: Rootfs{Tree: imageOf(t, debian, tc.image), User: User{UID: 7, GID: 7}}})
			if diff := cmp.Diff(shortAll(c.Volumes), tc.want); diff != "" {
				t.Errorf("volumes (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(pathsOf(c.Unsolved), tc.unsolved); diff != "" {
				t.Errorf("unsolved (-got +want):\n%s", diff)
			}
			for _, u := range c.Unsolved {
				if u.Reason == "" {
					t.Errorf("%s is unsolved without a reason", u.Path)
				}
			}
			for _, v := range c.Volumes {
				if len(v.Why) == 0 {
					t.Errorf("%s is there without a reason", v.MountPath)
				}
			}
		})
	}
}

// TestDeriveLeftovers has cases with an upper directory and no trace.
func TestDeriveLeftovers(t *testing.T) {
	image := imageOf(t, debian, "d 0755 7:7 /var/lib/app\nf 7:7 /var/lib/app/db 10\nd /var/cache/app\nf /etc/app.conf 5")
	rootfs := Rootfs{Tree: image, Mounts: []Mount{{Path: "/etc/hosts"}, {Path: "/var/run/secrets/x"}}, WorkDir: "/opt/job/now"}
	left := func(line string) Leftover { return Leftover{Entry: parseEntry(t, line)} }
	touched := func(line string) Leftover { l := left(line); l.Touched = true; return l }
	for _, tc := range []struct {
		name   string
		left   []Leftover
		trace  string
		writes []string
		want   []string
	}{
		{name: "a file that was made", left: []Leftover{left("d 0755 7:7 /var/lib/app"), left("f /var/lib/app/new 9")},
			writes: []string{"create /var/lib/app/new"}, want: []string{"/var/lib/app copy-up 0755 7:7"}},
		{name: "a file that was changed", left: []Leftover{left("f /etc/app.conf 6")},
			writes: []string{"write /etc/app.conf"}, want: []string{"/etc/app.conf file subpath=app.conf copy-up"}},
		{name: "a file that was removed", left: []Leftover{{Entry: tree.Entry{Path: "/var/lib/app/db"}, Deleted: true}},
			writes: []string{"unlink /var/lib/app/db"}, want: []string{"/var/lib/app copy-up 0755 7:7"}},
		{name: "files that came and went", left: []Leftover{touched("d /var/cache/app")},
			writes: []string{"create /var/cache/app/*"}, want: []string{"/var/cache/app"}},
		{name: "mode and owner of a directory", left: []Leftover{left("d 0700 8:8 /var/cache/app")},
			writes: []string{"chmod, chown /var/cache/app"}, want: []string{"/var/cache/app"}},
		{name: "a directory that was made", left: []Leftover{left("d 0700 8:8 /var/lib/foo"), left("f /var/lib/foo/x 1")},
			writes: []string{"mkdir /var/lib/foo", "create /var/lib/foo/x"}, want: []string{"/var/lib/foo"}},
		{name: "what the runtime made for its mounts", left: []Leftover{touched("d /etc"), left("f /etc/hosts 0"), left("d /run/secrets/x"), left("d /run/secrets"), left("f /dev/console 0")}},
		{name: "the working directory", left: []Leftover{left("d /opt/job"), left("d /opt/job/now")}},
		{name: "what was written in the working directory", left: []Leftover{left("d /opt/job"), left("d /opt/job/now"), left("f /opt/job/now/x 1")},
			writes: []string{"create /opt/job/now/x"}, want: []string{"/opt/job/now"}},
		{name: "the working directory with another mode", left: []Leftover{left("d /opt/job"), left("d 0700 /opt/job/now")},
			writes: []string{"mkdir /opt/job/now"}, want: []string{"/opt/job"}},
		{name: "what the traces explain",
			trace:  "mkdir /srv/a app\ncreate,write /srv/a/f app 5\ncreate,unlink /srv/a/g app",
			left:   []Leftover{left("d /srv"), left("d /srv/a"), left("f /srv/a/f 5")},
			writes: []string{"mkdir /srv/a by app", "create, write /srv/a/f by app", "create, unlink /srv/a/g by app"}, want: []string{"/srv"}},
		{name: "what the traces folded",
			trace:  "create /var/cache/app/* app",
			left:   []Leftover{left("f /var/cache/app/a 5"), left("f /var/cache/app/b 5"), touched("d /var/cache/app")},
			writes: []string{"create /var/cache/app/* by app"}, want: []string{"/var/cache/app"}},
		{name: "links, sockets and FIFOs",
			left: []Leftover{
				left("d /srv/l -> x"),
				{Entry: tree.Entry{Path: "/srv/s", Kind: tree.Socket}},
				{Entry: tree.Entry{Path: "/srv/p", Kind: tree.FIFO}},
			},
			writes: []string{"symlink /srv/l", "mknod /srv/p", "bind /srv/s"}, want: []string{"/srv"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Derive(Input{Traces: traces(traceOf(t, tc.trace)), Left: tc.left, Rootfs: rootfs})
			var writes []string
			for _, w := range c.Writes {
				writes = append(writes, w.String())
			}
			if diff := cmp.Diff(writes, tc.writes); diff != "" {
				t.Errorf("writes (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(shortAll(c.Volumes), tc.want); diff != "" {
				t.Errorf("volumes (-got +want):\n%s", diff)
			}
		})
	}
}

// TestNoLimits derives volumes from writes that were small while they were seen.
// None may get a limit or a place in memory.
func TestNoLimits(t *testing.T) {
	for _, tc := range []struct{ name, image, trace string }{
		{"a process number", "d /run/app", "create,unlink /run/app/pid app 3"},
		{"a socket", "d /run/app", "bind,unlink /run/app/socket app"},
		{"a small temporary file", "", "create /tmp/x app 2"},
		{"little data", "", "create /srv/x app 3"},
		{"much data", "", "create /srv/x app 100000000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Derive(Input{Traces: traces(traceOf(t, tc.trace)), Rootfs: Rootfs{Tree: imageOf(t, debian, tc.image)}})
			if len(c.Volumes) != 1 || c.Volumes[0].SizeLimit != "" || c.Volumes[0].Medium != "" {
				t.Errorf("volumes are %+v, want one without size limit and medium", c.Volumes)
			}
		})
	}
}

func TestWeakness(t *testing.T) {
	whole, cut := traceOf(t, "create /run/x app"), trace.Trace{Weak: []string{"io_uring"}}
	c := Derive(Input{Name: "app", Traces: traces(whole, cut, cut), Rootfs: Rootfs{Tree: imageOf(t, debian)}})
	if diff := cmp.Diff(c.Weak, []string{"a traced run was cut short", "io_uring"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	other := traceOf(t, "create /srv/x app")
	other.Container = "sidecar"
	c = Derive(Input{Name: "app", Traces: traces(other), Rootfs: Rootfs{Tree: imageOf(t, debian)}})
	if len(c.Writes) > 0 {
		t.Errorf("another container's writes count: %v", c.Writes)
	}
}

func TestGeneralise(t *testing.T) {
	for name, want := range map[string]string{
		"nginx.pid": "nginx.pid", "temp-4711.rdb": "temp-*.rdb", "0000000001": "*", "dump.rdb": "dump.rdb",
		"sess_9f86d081884c7d659a2feaa0c5": "sess_*", "tmpk3j2xx1a": "*", "tmpab3d_x9q": "*", "sedAb3xYz": "*", "tmp.oP5xK2mQ9z": "tmp.*",
		"php8.2-fpm.pid": "php8.2-fpm.pid", "tomcat10": "tomcat10", "mysql.sock": "mysql.sock", "hsperfdata_root": "hsperfdata_root",
		"MyAppData": "MyAppData", "ActiveMQ": "ActiveMQ", "README": "README", "catalina.2026-11-23.log": "catalina.*.log",
		"*": "*", "": "", ".s.PGSQL.5432.lock": ".s.PGSQL.*.lock", "3f2a1c9d-8b7e-4f6a-9c1d-2e3f4a5b6c7d": "*", "ünï": "ünï",
	} {
		if got := generalise(name); got != want {
			t.Errorf("generalise(%q) = %q, want %q", name, got, want)
		}
		if got := generalise(generalise(name)); got != generalise(name) {
			t.Errorf("generalise(%q) changes again to %q", name, got)
		}
	}
	if got, want := generalisePath("/var/lib/x/12/f", "/var/lib"), "/var/lib/x/*/f"; got != want {
		t.Errorf("path is %q, want %q", got, want)
	}
	if got := generalisePath("/12", "/"); got != "/*" || strings.Contains(got, "//") {
		t.Errorf("path is %q", got)
	}
}
