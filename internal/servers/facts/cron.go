package facts

import (
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A cron is the rules by which a cron(8) chooses the files that it reads.
type cron struct {
	spool    string                 // the directory with the crontabs of users
	isNamed  func(name string) bool // a name in /etc/cron.d that counts
	isTab    func(snippet) bool     // a crontab of the system that counts
	isOfUser func(s snippet, uid uint32) bool
	isScript func(name string) bool // a name that run-parts runs
}

// vixie is the cron of Debian. It is also assumed where cronie is not installed.
var vixie = cron{
	spool:   "/var/spool/cron/crontabs",
	isNamed: isPlainName,
	isTab: func(s snippet) bool {
		return isRoots(s.file) && (s.link == nil || s.link.UID == 0)
	},
	isOfUser: func(s snippet, uid uint32) bool {
		return s.link == nil && s.file.Mode == 0o600 && (s.file.UID == uid || s.file.UID == 0) && s.name[0] != '.'
	},
	isScript: isPlainName,
}

// cronie is the cron of Fedora, its derivatives and SUSE.
var cronie = cron{
	spool:   "/var/spool/cron",
	isNamed: isCronieName,
	isTab:   func(s snippet) bool { return isCronieMode(s.file) && s.file.UID == 0 },
	isOfUser: func(s snippet, uid uint32) bool {
		return isCronieName(s.name) && isCronieMode(s.file) && (s.file.UID == uid || s.file.UID == 0)
	},
	isScript: func(name string) bool {
		return !hasAnySuffix(name, "~", ",", ".cfsaved", ".rpmsave", ".rpmorig", ".rpmnew", ".swp", ",v") && name[0] != '.'
	},
}

// isCronieMode reports whether cronie reads a file with this mode (check_open in its
// database.c).
func isCronieMode(e tree.Entry) bool { return e.Mode&0o7533 == 0o400 }

// isCronieName reports whether cronie reads a file with this name (not_a_crontab in
// its database.c).
func isCronieName(name string) bool {
	return name[0] != '.' && name[0] != '#' && name != ".cron.hostname" && !hasAnySuffix(name, "~", ".rpmsave", ".rpmorig", ".rpmnew")
}

// isPlainName reports whether run-parts(8) of Debian runs a file with this name, which
// Debian's cron also requires.
func isPlainName(name string) bool {
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// cronOf returns the rules of the cron that a system has.
func cronOf(from files) cron {
	for _, file := range []string{"/etc/pam.d/crond", "/etc/sysconfig/crond", "/usr/lib/systemd/system/cronie.service"} {
		if _, exists := from.stat(file); exists {
			return cronie
		}
	}
	return vixie
}

// cronFacts returns the jobs of cron(8), and the scripts that it runs.
func cronFacts(from files) []Fact {
	c := cronOf(from)
	facts := ruleFacts(from, Cron, append(c.tabs(from), c.tabsOfUsers(from)...))
	for _, period := range []string{"hourly", "daily", "weekly", "monthly"} {
		for _, s := range snippetsIn(from, "/etc/cron."+period) {
			if c.isScript(s.name) && s.file.Mode&0o111 != 0 {
				facts = append(facts, Fact{Cron, s.path, period})
			}
		}
	}
	return facts
}

// tabs returns the crontabs of the system.
func (c cron) tabs(from files) []string {
	var tabs []string
	if e, exists := from.stat("/etc/crontab"); exists && e.Kind == tree.Regular && c.isTab(snippet{name: "crontab", file: e}) {
		tabs = append(tabs, e.Path)
	}
	for _, s := range snippetsIn(from, "/etc/cron.d") {
		if c.isNamed(s.name) && c.isTab(s) {
			tabs = append(tabs, s.path)
		}
	}
	return tabs
}

// tabsOfUsers returns the crontabs of users that exist.
func (c cron) tabsOfUsers(from files) []string {
	uids := map[string]uint32{}
	for _, f := range records(from, "/etc/passwd") {
		if len(f) < 3 {
			continue
		}
		if uid, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			uids[f[0]] = uint32(uid)
		}
	}
	var tabs []string
	for _, s := range snippetsIn(from, c.spool) {
		if uid, exists := uids[s.name]; exists && c.isOfUser(s, uid) {
			tabs = append(tabs, s.path)
		}
	}
	return tabs
}
