package facts

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/test/disk"
	"github.com/adamant-sh/adamant/test/sshd"
)

// equalKeys returns the facts that a collector has found with the section and key of
// another one.
func equalKeys(f *collector) []Fact {
	list := slices.Clone(f.facts)
	slices.SortStableFunc(list, CompareKeys)
	var twice []Fact
	for i := 1; i < len(list); i++ {
		if CompareKeys(list[i-1], list[i]) == 0 {
			twice = append(twice, list[i-1], list[i])
		}
	}
	return twice
}

// The keys of a real system's facts are unique before equal ones are joined.
func TestKeysOfARealSystemAreUnique(t *testing.T) {
	srv := sshd.Open(t, "systemd", "dbus", "cron", "logrotate").Start("keys", sshd.Options{})
	srv.Exec("sh", "-euc", `for p in hourly daily weekly monthly; do
	printf '#!/bin/sh\n' >/etc/cron.$p/same; chmod 755 /etc/cron.$p/same
done
for f in /etc/cron.d/same /etc/cron.d/other; do echo '* * * * * root true' >$f; done
for f in /etc/sudoers.d/same /etc/sudoers.d/other; do echo 'ops ALL=(ALL) ALL' >$f; done
for user in ops guest; do echo '* * * * * true' | crontab -u $user -; done`)
	f := &collector{}
	root := disk.Open(t, srv.Root)
	f.read(t.Context(), rootFiles{root}, machine{arch: "amd64"})
	if twice := equalKeys(f); len(twice) > 0 {
		t.Errorf("several facts have the same key: %q", twice)
	}
	for section, keys := range map[Section][]string{
		Cron: {
			"/etc/cron.hourly/same", "/etc/cron.daily/same", "/etc/cron.weekly/same", "/etc/cron.monthly/same", "/etc/cron.d/same: * * * * * root true",
			"/etc/cron.d/other: * * * * * root true", "/var/spool/cron/crontabs/ops: * * * * * true", "/var/spool/cron/crontabs/guest: * * * * * true",
		},
		Sudoers: {"/etc/sudoers.d/same: ops ALL=(ALL) ALL", "/etc/sudoers.d/other: ops ALL=(ALL) ALL"},
	} {
		for _, key := range keys {
			if values(f.facts, section)[key] == "" {
				t.Errorf("%s %s is missing", section, key)
			}
		}
	}
}

// Where one key has several origins, none hides another.
func TestEqualKeysAreJoined(t *testing.T) {
	root := disk.Files{
		"/etc/passwd":       "eve:x:1:1::/:/bin/sh\neve:x:0:0::/:/bin/sh\n",
		"/etc/group":        "wheel:x:1:eve\nwheel:x:2:bob\n",
		"/etc/cron.d/twice": "* * * * * root a\n* * * * * root a\n",
		"/var/lib/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\n\n" +
			"Package: a\nStatus: install ok installed\nVersion: 2\n",
	}.Root(t)
	k := Kernel{
		Mounts: "1 0 0:1 / /data rw - tmpfs one rw\n2 1 0:2 / /data ro - tmpfs two rw\n",
		Sockets: map[string]string{"tcp": "0: 0100007F:0016 0:0 0A 0 0 0 0 0 7\n1: 0100007F:0016 0:0 0A 0 0 0 0 0 8\n" +
			"2: 0100007F:0016 0:0 0A 0 0 0 0 0 9\n"},
		Programs: map[string]string{"7": "nginx", "8": "haproxy", "9": "nginx"},
	}
	got, _ := facts(t.Context(), rootFiles{root}, machine{arch: "amd64", kernel: &k})
	for key, want := range map[string]string{
		"user eve":                   "uid 1, gid 1, home /, shell /bin/sh | uid 0, gid 0, home /, shell /bin/sh",
		"group wheel":                "gid 1 eve | gid 2 bob",
		"package a":                  "1 | 2",
		"mount /data":                "tmpfs one rw | tmpfs two ro (file system: rw)",
		"listening tcp 127.0.0.1:22": "haproxy | nginx",
		"cron /etc/cron.d/twice: * * * * * root a": inForce,
	} {
		i := slices.IndexFunc(got, func(f Fact) bool { return f.Name() == key })
		if i < 0 || got[i].Value != want {
			t.Errorf("%s: got %q, want %q", key, got[max(i, 0)], want)
		}
	}
	if diff := cmp.Diff(joinEqualKeys(slices.Clone(got)), got); diff != "" {
		t.Error("they are not sorted or not unique:\n", diff)
	}
}
