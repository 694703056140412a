package drift

import (
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Compare orders severities: less than 0 if s is more severe than other.
func (s Severity) Compare(other Severity) int {
	return slices.Index(Severities(), s) - slices.Index(Severities(), other)
}

// grade returns the severity of a change and the reason in words. It depends on the
// paths, entries, fields and class of the change. The first rule that applies decides.
func grade(ch Change) (Severity, string) {
	for _, r := range rules {
		if r.applies(ch) {
			return r.severity, r.reason
		}
	}
	return Low, "content"
}

type rule struct {
	severity Severity
	reason   string
	applies  func(Change) bool
}

// rules are tried in this order. Their paths are used for persistence and privilege
// escalation (MITRE ATT&CK T1037, T1053, T1098, T1136, T1543, T1546, T1548, T1553, T1556,
// T1574).
var rules = []rule{
	{Critical, "setuid or setgid program", gainsPrivilege},
	{Critical, "file capabilities", gainsCapability},
	{Critical, "preloaded into every program", at("/etc/ld.so.preload")},
	{Critical, "accounts", at("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid")},
	{Critical, "who may become root", at("/etc/sudoers", "/etc/sudoers.d", "/etc/sudo.conf", "/etc/doas.conf", "/etc/doas.d", "/etc/polkit-1")},
	{Critical, "authentication", at("/etc/pam.d", "/etc/pam.conf", "/etc/security", "/etc/krb5.keytab")},
	{Critical, "remote access", isRemoteAccess},
	{High, "device node", isDevice},
	{High, "runs by itself", at("/etc/crontab", "/etc/anacrontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily",
		"/etc/cron.weekly", "/etc/cron.monthly", "/etc/cron.allow", "/var/spool/cron", "/var/spool/at", "/etc/systemd", "/usr/lib/systemd", "/lib/systemd",
		"/usr/local/lib/systemd", "/etc/init.d", "/etc/rc.local", "/etc/rc.d", "/etc/inittab", "/etc/init", "/etc/udev", "/etc/xdg/autostart")},
	{High, "trusted certificates", at("/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/pki", "/etc/ca-certificates", "/etc/ca-certificates.conf",
		"/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/lib/ssl")},
	{High, "how libraries are found", at("/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.cache", "/etc/ld-musl-x86_64.path", "/etc/ld-musl-aarch64.path")},
	{High, "how names are resolved", at("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/host.conf")},
	{High, "where packages come from", at("/etc/apt", "/etc/yum.repos.d", "/etc/yum.conf", "/etc/dnf", "/etc/apk", "/etc/pip.conf", "/etc/npmrc")},
	{High, "start of every shell", isShellStart},
	{High, "program outside writable places", runsOutsideWritable},
	{Medium, "program in a writable place", runs},
	{Medium, "writable by everybody", opensToAll},
	{Medium, "installed packages", ofClass(PackageDB)},
	{Medium, "configuration", ofClass(Config)},
	{Low, "log", ofClass(Log)},
	{Low, "cache", ofClass(Cache)},
	{Low, "data in a writable place", inWritable},
	{Low, "directory", isDirectory},
	{Low, "new data", func(ch Change) bool { return ch.Kind == Added }},
	{Medium, "data of the image", func(Change) bool { return true }},
}

// writable are the directories that programs usually write to.
var writable = []string{"/tmp", "/var/tmp", "/run", "/var/run", "/dev", "/var/cache", "/var/log", "/var/lib", "/var/spool", "/home", "/root"}

func at(paths ...string) func(Change) bool {
	return func(ch Change) bool { return inAny(ch.Path, paths) }
}

func ofClass(class Class) func(Change) bool {
	return func(ch Change) bool { return ch.Class == class }
}

func inWritable(ch Change) bool { return inAny(ch.Path, writable) }

// gainsPrivilege reports whether a setuid or setgid program is new, or its mode, owner
// or content changed.
func gainsPrivilege(ch Change) bool {
	if ch.Got == nil || ch.Got.Kind != tree.Regular || privilege(ch.Got) == 0 {
		return false
	}
	// Other content in a setuid program runs with the same privilege as a new one.
	return ch.Want == nil || privilege(ch.Got)&^privilege(ch.Want) != 0 ||
		slices.ContainsFunc(ch.Fields, func(f string) bool {
			return f == tree.FieldContent || f == tree.FieldOwner || f == tree.FieldType
		})
}

// privilege returns the bits that change who a program runs as. Without group
// execution setgid means mandatory locking, not privilege.
func privilege(e *tree.Entry) uint32 {
	const setuid, setgid, groupExec = 0o4000, 0o2000, 0o010
	bits := e.Mode & setuid
	if e.Mode&groupExec != 0 {
		bits |= e.Mode & setgid
	}
	return bits
}

// gainsCapability reports whether file capabilities were added or changed, or the
// content of a program with capabilities changed.
func gainsCapability(ch Change) bool {
	if ch.Got == nil {
		return false
	}
	got, has := ch.Got.Xattrs[tree.CapabilityXattr]
	if !has {
		return false
	}
	return ch.Want == nil || ch.Want.Xattrs[tree.CapabilityXattr] != got || slices.Contains(ch.Fields, tree.FieldContent)
}

func isRemoteAccess(ch Change) bool {
	return inAny(ch.Path, []string{"/etc/ssh", "/etc/hosts.equiv"}) ||
		hasDir(ch.Path, ".ssh") || path.Base(ch.Path) == ".rhosts"
}

func isDevice(ch Change) bool {
	for _, e := range []*tree.Entry{ch.Want, ch.Got} {
		if e != nil && (e.Kind == tree.CharDevice || e.Kind == tree.BlockDevice) {
			return true
		}
	}
	return false
}

func isShellStart(ch Change) bool {
	if at("/etc/profile", "/etc/profile.d", "/etc/environment", "/etc/bash.bashrc", "/etc/bashrc", "/etc/zsh", "/etc/zshrc", "/etc/zshenv")(ch) {
		return true
	}
	switch path.Base(ch.Path) {
	case ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".profile", ".zshrc", ".zshenv", ".zprofile", ".ashrc", ".kshrc":
		return true
	}
	return false
}

func runs(ch Change) bool {
	return ch.Class == Executable || ch.Class == Library || ch.Class == Script
}

func runsOutsideWritable(ch Change) bool { return runs(ch) && !inWritable(ch) }

// opensToAll reports whether a file became writable for everybody. Sticky directories
// such as /tmp are exempt, and so are symbolic links, whose modes have no effect.
func opensToAll(ch Change) bool {
	const others, sticky = 0o002, 0o1000
	open := func(e *tree.Entry) bool {
		return e != nil && e.Kind != tree.Symlink && e.Mode&others != 0 && (e.Kind != tree.Directory || e.Mode&sticky == 0)
	}
	return open(ch.Got) && !open(ch.Want) && !inWritable(ch)
}

func isDirectory(ch Change) bool {
	return (ch.Got == nil || ch.Got.Kind == tree.Directory) && (ch.Want == nil || ch.Want.Kind == tree.Directory)
}
