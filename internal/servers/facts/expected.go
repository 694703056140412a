package facts

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/scan"
)

// An Expected is a class of files that differ between servers by design.
type Expected string

// The classes. Two servers with the same Identity are an alarm, because one was cloned
// from the other or they share keys.
const (
	Identity  Expected = "identity"  // host keys, machine-id, seeds: must differ
	Name      Expected = "name"      // the names of the server, and its name servers
	Key       Expected = "key"       // private keys and certificates of services
	Lease     Expected = "lease"     // addresses that were handed out
	Log       Expected = "log"       // logs
	Cache     Expected = "cache"     // can be generated or downloaded again
	Temporary Expected = "temporary" // gone with the next boot
	State     Expected = "state"     // the state of programs
)

// classes are all classes, in the order of their numbers.
var classes = []Expected{Identity, Name, Key, Lease, Log, Cache, Temporary, State}

// classNumber returns the number of a class in a scan.
func classNumber(i int) scan.Class { return scan.Class(i + 1) }

// expected maps paths to classes: patterns of path.Match, or with a slash at the end a
// directory and everything below it. The first match counts.
var expected = []struct {
	pattern string
	class   Expected
}{
	{"/etc/ssh/ssh_host_*_key", Identity},
	{"/etc/ssh/ssh_host_*_key.pub", Identity},
	{"/etc/machine-id", Identity},
	{"/var/lib/dbus/machine-id", Identity},
	{"/var/lib/systemd/random-seed", Identity},
	{"/var/lib/systemd/credential.secret", Identity},
	{"/etc/hostname", Name},
	{"/etc/mailname", Name},
	{"/etc/hosts", Name},
	{"/etc/ssl/private/", Key},
	{"/etc/letsencrypt/", Key},
	{"/var/lib/dhcp/", Lease},
	{"/var/lib/dhcpcd/", Lease},
	{"/var/lib/NetworkManager/", Lease},
	{"/var/log/", Log},
	{"/var/cache/", Cache},
	{"/var/lib/apt/lists/", Cache},
	{"/root/.cache", Cache},
	{"/root/.cache/", Cache},
	{"/home/*/.cache", Cache},
	{"/home/*/.cache/", Cache},
	{"/tmp/", Temporary},
	{"/var/tmp/", Temporary},
	{"/run/", Temporary},
	{"/var/backups/", State},
	{"/var/lib/apt/periodic/", State},
	{"/var/lib/dpkg/*-old", State}, // backups
	{"/var/lib/logrotate/", State},
	{"/var/lib/rpm/", State}, // with the times of installations; packages are facts
	{"/usr/lib/sysimage/rpm/", State},
	{"/var/lib/sudo/", State},
	{"/var/lib/adamant", State}, // our own changes, see change.Dir
	{"/var/lib/adamant/", State},
	{"/var/lib/systemd/timers/", State},
	{"/var/lib/systemd/timesync/", State},
	{"/var/lib/systemd/rfkill/", State},
	{"/var/spool/", State},
	{"/root/.bash_history", State},
	{"/home/*/.bash_history", State},
	{"/home/*/.sudo_as_admin_successful", State},
	{"/etc/.pwd.lock", State},
	{"/etc/passwd-", State}, // backups
	{"/etc/group-", State},
	{"/etc/shadow-", State},
	{"/etc/gshadow-", State},
	{"/etc/subuid-", State},
	{"/etc/subgid-", State},
	{"/etc/resolv.conf", Name},
	{"/swapfile", State},
}

// skipped are directories without files of the server's own.
var skipped = []string{"/proc", "/sys", "/dev"}

// ExpectedAt returns the class of a path that differs between servers by design.
func ExpectedAt(p string) (Expected, bool) {
	for _, e := range expected {
		if dir, isDir := strings.CutSuffix(e.pattern, "/"); isDir {
			if liesBelow(dir, p) {
				return e.class, true
			}
		} else if ok, _ := path.Match(e.pattern, p); ok {
			return e.class, true
		}
	}
	return "", false
}

// liesBelow reports whether a path lies in a directory that a pattern matches.
func liesBelow(pattern, p string) bool {
	if !strings.Contains(pattern, "*") {
		return strings.HasPrefix(p, pattern+"/")
	}
	parts := strings.SplitAfterN(p, "/", strings.Count(pattern, "/")+2)
	last := len(parts) - 1
	return last == strings.Count(pattern, "/")+1 && matches(pattern+"/", strings.Join(parts[:last], ""))
}

// matches is path.Match for valid patterns.
func matches(pattern, p string) bool {
	ok, _ := path.Match(pattern, p)
	return ok
}

// ownIn is treatmentIn for comparing a server with its own past. Files that differ
// between servers but do not change on one of them are compared.
func ownIn(dir string) func(name string) scan.Treatment {
	in := treatmentIn(dir)
	return func(name string) scan.Treatment {
		t := in(name)
		if isOwnClass(t.Class) || isCrontab(path.Join(dir, name)) {
			return scan.Treatment{Content: true}
		}
		return t
	}
}

// isOwnClass reports whether files of a class differ between servers but do not change
// on any of them.
func isOwnClass(c scan.Class) bool {
	return slices.Contains([]scan.Class{classOf(Identity), classOf(Name), classOf(Key)}, c)
}

// crontabs is in a directory of state, but people write its files.
const crontabs = "/var/spool/cron"

func isCrontab(p string) bool { return p == crontabs || strings.HasPrefix(p, crontabs+"/") }

func classOf(e Expected) scan.Class { return classNumber(slices.Index(classes, e)) }

// treatmentIn returns how a scan treats the names in a directory. It agrees with
// ExpectedAt, but tries only patterns that can match in the directory, because it is
// called for every file of a server.
func treatmentIn(dir string) func(name string) scan.Treatment {
	below := strings.TrimSuffix(dir, "/") + "/"
	type rule struct {
		names     string // pattern of a name; empty: all
		treatment scan.Treatment
	}
	var rules []rule
	for _, e := range expected {
		t := scan.Treatment{Class: classNumber(slices.Index(classes, e.class)), Content: e.class == Identity}
		if strings.HasSuffix(e.pattern, "/") {
			if liesBelow(strings.TrimSuffix(e.pattern, "/"), below) {
				rules = append(rules, rule{"", t})
			}
		} else if in, names := path.Split(e.pattern); matches(in, below) {
			rules = append(rules, rule{names, t})
		}
	}
	return func(name string) scan.Treatment {
		if dir == "/" && slices.Contains(skipped, dir+name) {
			return scan.Treatment{Skip: true}
		}
		for _, r := range rules {
			if ok, _ := path.Match(r.names, name); ok || r.names == "" {
				return r.treatment
			}
		}
		return scan.Treatment{Content: true}
	}
}

// derived are files that programs generate from other files.
var derived = []string{
	"/etc/ld.so.cache", "/var/lib/dpkg/", "/var/lib/apt/", "/lib/apk/db/",
	"/usr/lib/locale/locale-archive", "/usr/share/mime/", "/usr/share/info/dir", "/var/lib/ucf/",
	"/boot/initrd.img-*", "/boot/grub/", "/usr/share/applications/mimeinfo.cache", "/var/lib/systemd/catalog/",
}

// IsDerived reports whether a file is generated from others, such as compiled Python
// and the package manager's own records.
func IsDerived(p string) bool {
	if strings.HasSuffix(p, ".pyc") || strings.Contains(p+"/", "/__pycache__/") {
		return true
	}
	for _, d := range derived {
		if dir, isDir := strings.CutSuffix(d, "/"); isDir && (p == dir || strings.HasPrefix(p, d)) {
			return true
		}
		if ok, _ := path.Match(d, p); ok {
			return true
		}
	}
	return false
}
