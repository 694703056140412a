package compare

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A class is a set of files that have a cause of their own, whatever else differs.
type class struct {
	kind Kind
	name string // of the cause, among those of the kind
}

// containerDirs hold images and containers. Their files are named by digests and
// numbers, so only the directory is of use in a report.
var containerDirs = []string{"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/rancher/k3s/agent/containerd", "/var/lib/cri-o"}

// packageSources are the files and directories from which package managers learn what
// they may install: repositories, keys, pins and logins.
var packageSources = []string{
	"/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d", "/etc/apt/keyrings", "/etc/apt/preferences",
	"/etc/apt/preferences.d", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d", "/usr/share/keyrings", "/etc/yum.conf", "/etc/yum.repos.d", "/etc/dnf/dnf.conf",
	"/etc/dnf/vars", "/etc/pki/rpm-gpg", "/etc/zypp/repos.d", "/etc/apk/repositories", "/etc/apk/repositories.d", "/etc/apk/keys",
}

var dropIn = regexp.MustCompile(`^/(?:etc|run|lib|usr/lib|usr/local/lib)/systemd/(?:system|user)/([^/]+)\.d(?:/|$)`)

// classOf returns the class of a file by its path; ok is false for ordinary files.
func classOf(p string) (c class, ok bool) {
	base, dir := path.Base(p), path.Base(path.Dir(p))
	switch {
	case strings.HasPrefix(base, "authorized_keys") || strings.HasPrefix(dir, "authorized_keys") || strings.HasPrefix(base, "authorized_principals"):
		return class{ByKey, p}, true
	case p == "/etc/ld.so.preload":
		return class{ByPreload, p}, true
	case p == "/etc/pam.conf" || strings.HasPrefix(p, "/etc/pam.d/"):
		return class{ByPAM, p}, true
	}
	if below(p, packageSources) != "" {
		return class{BySource, "all"}, true
	}
	if m := dropIn.FindStringSubmatch(p); m != nil {
		return class{ByDropIn, m[1]}, true
	}
	if dir := below(p, containerDirs); dir != "" {
		return class{ByContainer, dir}, true
	}
	return class{}, false
}

// below returns the one of dirs that a path is in or is, empty if there is none.
func below(p string, dirs []string) string {
	for _, dir := range dirs {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return dir
		}
	}
	return ""
}

// capabilityAttr begins the capabilities in the identity of a file.
const capabilityAttr = ` "security.capability"=`

// privilege returns what a file grants to everybody who executes it, by its identity:
// setuid, setgid, file capabilities, or nothing.
func privilege(identity string) string {
	mode, ok := strings.CutPrefix(identity, "regular file ")
	if !ok || mode == "" {
		return ""
	}
	var list []string
	if mode[0] >= '4' {
		list = append(list, "setuid")
	}
	if (mode[0]-'0')&2 != 0 {
		list = append(list, "setgid")
	}
	if _, value, ok := strings.Cut(identity, capabilityAttr); ok {
		value, _, _ = strings.Cut(value, " ")
		list = append(list, "file capabilities "+value)
	}
	return strings.Join(list, ", ")
}

// privileges returns the privileges that a file has on any server, and whether they
// differ between servers that have the file.
func privileges(d Difference) (list []string, differ bool) {
	found := map[string]bool{}
	for _, identity := range d.Values {
		p := privilege(identity)
		if p != "" && !found[p] {
			name, _, _ := strings.Cut(p, ` "`) // without the value of capabilities
			list = append(list, name)
		}
		found[p] = true
	}
	slices.Sort(list)
	return slices.Compact(list), len(found) > 1
}

// accountHome returns the key of the cause of the user whose home or mail a path is in,
// empty if the user is not new or removed on the same servers.
func (e *explainer) accountHome(d Difference) string {
	for _, dir := range []string{"/home", "/var/mail", "/var/spool/mail", "/var/spool/cron/crontabs"} {
		rest, ok := strings.CutPrefix(d.Key, dir+"/")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, "/")
		if key := accountKey(name, d); slices.Contains(e.created, key) {
			return key
		}
	}
	return ""
}

// accountKey returns the key of the cause of a user.
func accountKey(name string, d Difference) string {
	return string(ByAccount) + " " + name + " on " + strings.Join(d.Odd, ", ")
}

// sysctlFamilies are kernel settings that the kernel changes together. The first
// setting of a family is the one that people change.
var sysctlFamilies = []struct {
	leader  string
	members *regexp.Regexp
}{
	{"net.ipv4.ip_forward", regexp.MustCompile(`^net\.ipv4\.(ip_forward|conf\..+\.(forwarding|accept_redirects))$`)},
	{"net.ipv6.conf.all.forwarding", regexp.MustCompile(`^net\.ipv6\.conf\..+\.forwarding$`)},
	{"net.ipv6.conf.all.disable_ipv6", regexp.MustCompile(`^net\.ipv6\.conf\..+\.disable_ipv6$`)},
	{"vm.dirty_ratio", regexp.MustCompile(`^vm\.dirty_(ratio|bytes)$`)},
	{"vm.dirty_background_ratio", regexp.MustCompile(`^vm\.dirty_background_(ratio|bytes)$`)},
	{"vm.overcommit_ratio", regexp.MustCompile(`^vm\.overcommit_(ratio|kbytes)$`)},
	{"vm.nr_hugepages", regexp.MustCompile(`^vm\.nr_hugepages(_mempolicy)?$`)},
	{"kernel.watchdog", regexp.MustCompile(`^kernel\.((nmi_|soft_)?watchdog)$`)},
}

// sysctlFamily returns the leader of a setting's family, or the setting itself.
func sysctlFamily(name string) string {
	for _, f := range sysctlFamilies {
		if f.members.MatchString(name) {
			return f.leader
		}
	}
	return name
}

// unitOfProgram returns the key of the cause of the unit whose program a socket belongs
// to, if the unit differs on the same servers.
func (e *explainer) unitOfProgram(d Difference) string {
	for _, server := range e.majority.servers {
		program := d.Values[server]
		for _, key := range e.order {
			unit, ok := strings.CutPrefix(key, "unit ")
			name, who, _ := strings.Cut(unit, ".service on ")
			if ok && program != "" && who == strings.Join(d.Odd, ", ") && isProgramOf(program, name) {
				return key
			}
		}
	}
	return ""
}

// isProgramOf reports whether a program is likely that of a unit: nginx of nginx, sshd of
// ssh.
func isProgramOf(program, unit string) bool {
	return program == unit || program == unit+"d" || strings.HasPrefix(program, unit+"-") || strings.HasPrefix(unit, program+"-") || strings.HasPrefix(unit, program+"@")
}

// groupKey returns the key of the cause of a fact about accounts or sockets, empty if
// the fact has no cause but its own.
func (e *explainer) groupKey(d Difference) string {
	who := " on " + strings.Join(d.Odd, ", ")
	switch d.Section {
	case facts.User:
		return accountKey(d.Key, d)
	case facts.Group:
		if e.causes[accountKey(d.Key, d)] != nil {
			return accountKey(d.Key, d)
		}
		return "groups" + who
	case facts.Listener:
		return e.unitOfProgram(d)
	}
	return ""
}
