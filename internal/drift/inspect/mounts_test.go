package inspect

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

func parseTable(t *testing.T, lines string) []mounts.Mount {
	t.Helper()
	table, err := mounts.Parse(strings.NewReader(strings.TrimSpace(lines) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestCompareMounts(t *testing.T) {
	const host = `
1 0 254:0 / / rw - ext4 /dev/vda rw
2 1 0:50 / /run rw - tmpfs tmpfs rw
3 1 254:1 /@data /data rw - btrfs /dev/vdb rw
4 3 0:60 / /data/nfs rw - nfs4 server:/x rw
5 3 0:61 / /data/late rw - tmpfs none rw`
	const base = `
10 9 0:70 / / ro - overlay overlay rw
11 10 0:71 / /proc rw - proc proc rw
12 10 0:72 / /dev rw - tmpfs tmpfs rw
13 10 0:73 / /sys ro - sysfs sysfs ro
14 13 0:74 / /sys/fs/cgroup ro - cgroup2 cgroup rw
15 10 254:0 /pods/1/etc-hosts /etc/hosts rw - ext4 /dev/vda rw
16 10 0:50 /secrets/1 /run/secrets/kubernetes.io/serviceaccount ro - tmpfs tmpfs rw
17 10 254:1 /@data/app /srv rw - btrfs /dev/vdb rw
18 11 0:71 /sys /proc/sys ro - proc proc rw
19 11 0:72 /null /proc/keys rw - tmpfs tmpfs rw
20 11 0:75 / /proc/acpi ro - tmpfs tmpfs ro`
	spec := func() containerSpec {
		var s containerSpec
		s.Root.Readonly = true
		s.Mounts = []mountSpec{
			{"/proc", "proc", "proc", nil},
			{"/dev", "tmpfs", "tmpfs", nil},
			{"/sys", "sysfs", "sysfs", []string{"ro"}},
			{"/sys/fs/cgroup", "cgroup", "cgroup", []string{"ro"}},
			{"/etc/hosts", "bind", "/pods/1/etc-hosts", []string{"rbind", "rw"}},
			{"/var/run/secrets/kubernetes.io/serviceaccount", "bind", "/run/secrets/1", []string{"rbind", "ro"}},
			{"/srv", "bind", "/data/app", []string{"rbind"}},
		}
		s.Linux.MaskedPaths = []string{"/proc/keys", "/proc/acpi", "/proc/not-here"}
		s.Linux.ReadonlyPaths = []string{"/proc/sys"}
		return s
	}
	tests := map[string]struct {
		spec func(*containerSpec)
		drop string // a mount point whose lines are omitted
		add  string // lines
		want []string
	}{
		"as it was started": {},
		"tmpfs over programs": {
			add:  "30 10 0:80 / /usr/bin rw - tmpfs none rw",
			want: []string{"/usr/bin: mount of tmpfs, writable, added"},
		},
		"program over another": {
			add:  "30 10 0:50 /evil /usr/bin/su ro - tmpfs tmpfs rw",
			want: []string{"/usr/bin/su: mount of /evil of tmpfs, read-only, added"},
		},
		"over the root": {
			add:  "30 10 0:81 / / rw - overlay none rw,lowerdir=/a",
			want: []string{"/: mount of overlay, writable, added"},
		},
		"writable root": {
			drop: "/", add: "10 9 0:70 / / rw - overlay overlay rw",
			want: []string{"/: mount read-only → writable"},
		},
		"over a volume": {
			add:  "30 17 0:80 / /srv rw - tmpfs none rw",
			want: []string{"/srv: mount of tmpfs, writable, added"},
		},
		"in place of a volume": {
			drop: "/srv", add: "30 10 254:1 /@data/other /srv rw - btrfs /dev/vdb rw",
			want: []string{"/srv: mount of /@data/other of btrfs, writable in place of /data/app"},
		},
		"a volume is gone": {drop: "/srv", want: []string{"/srv: mount of /data/app is gone"}},
		"a volume became writable": {
			drop: "/run/secrets/kubernetes.io/serviceaccount",
			add:  "30 10 0:50 /secrets/1 /run/secrets/kubernetes.io/serviceaccount rw - tmpfs tmpfs rw",
			want: []string{"/run/secrets/kubernetes.io/serviceaccount: mount read-only → writable"},
		},
		"a file that the host replaced": {
			drop: "/etc/hosts", add: "30 10 254:0 /pods/1/etc-hosts//deleted /etc/hosts rw - ext4 /dev/vda rw",
		},
		"a mount in a directory of the host": {
			spec: func(s *containerSpec) { s.Mounts[6].Source = "/data" },
			drop: "/srv", add: "30 10 254:1 /@data /srv rw - btrfs /dev/vdb rw\n31 30 0:60 / /srv/nfs rw - nfs4 server:/x rw\n32 30 0:61 / /srv/late rw - tmpfs none rw",
		},
		"another mount in a directory of the host": {
			spec: func(s *containerSpec) { s.Mounts[6].Source = "/data" },
			drop: "/srv", add: "30 10 254:1 /@data /srv rw - btrfs /dev/vdb rw\n31 30 0:62 / /srv/nfs rw - tmpfs none rw",
			want: []string{"/srv/nfs: mount of tmpfs, writable, added"},
		},
		"a mask is gone":              {drop: "/proc/keys", want: []string{"/proc/keys: mount that masks it is gone"}},
		"a mask in another's place":   {drop: "/proc/acpi", add: "30 11 0:75 / /proc/acpi rw - tmpfs tmpfs rw", want: []string{"/proc/acpi: mount that masks it is gone", "/proc/acpi: mount of tmpfs, writable, added"}},
		"writable again":              {drop: "/proc/sys", want: []string{"/proc/sys: mount that makes it read-only is gone"}},
		"terminal":                    {add: "30 12 0:76 /0 /dev/console rw - devpts devpts rw"},
		"devices of a user namespace": {add: "30 12 0:6 /null /dev/null rw - devtmpfs udev rw\n31 12 0:6 /tty /dev/tty rw - devtmpfs udev rw"},
		"another device":              {add: "30 12 0:6 /vda /dev/null rw - devtmpfs udev rw", want: []string{"/dev/null: mount of /vda of devtmpfs, writable, added"}},
		"hierarchies of cgroup v1": {
			drop: "/sys/fs/cgroup", add: "30 13 0:90 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n31 30 0:91 /x /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu",
		},
		"a hierarchy elsewhere": {add: "30 10 0:91 / /tmp/cpu rw - cgroup cgroup rw,cpu", want: []string{"/tmp/cpu: mount of cgroup, writable, added"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := spec()
			if tt.spec != nil {
				tt.spec(&s)
			}
			var table []mounts.Mount
			for _, m := range parseTable(t, base) {
				if m.Point != tt.drop {
					table = append(table, m)
				}
			}
			if tt.add != "" {
				table = append(table, parseTable(t, tt.add)...)
			}
			changes, more := compareMounts(s, mountView{
				table: table, host: parseTable(t, host),
				resolve: func(p string) string { return path.Clean(strings.Replace(p, "/var/run/", "/run/", 1)) },
				exists:  func(p string) bool { return p != "/proc/not-here" },
			})
			var got []string
			for _, ch := range changes {
				got = append(got, ch.Path+": "+ch.Detail)
			}
			if diff := cmp.Diff(got, tt.want); diff != "" || more != 0 {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestManyMounts(t *testing.T) {
	table := make([]mounts.Mount, maxMounts+8)
	for i := range table {
		table[i] = mounts.Mount{Point: "/x", Type: "tmpfs", Root: "/"}
	}
	same := func(p string) string { return p }
	changes, more := compareMounts(containerSpec{}, mountView{table: table, resolve: same})
	if len(changes) != maxMounts || more != 8 {
		t.Errorf("got %d changes and %d more", len(changes), more)
	}
}
