package facts

import (
	"path"
	"slices"
	"strings"
)

// accountFiles are the files of users and groups. They change together.
var accountFiles = []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"}

// IsAccountFile reports whether a path is that of a file of users or groups.
func IsAccountFile(p string) bool { return slices.Contains(accountFiles, p) }

// IsReadFrom reports whether a fact, "section key", is read from a file, or the file
// changes together with it.
func IsReadFrom(fact, file string) bool {
	section, key, _ := strings.Cut(fact, " ")
	switch Section(section) {
	case Diversion, StatOverride, Alternative:
		return isAdminFile(Section(section), key, file)
	case User, Group:
		return IsAccountFile(file)
	case Sudoers:
		return strings.HasPrefix(key, file+": ")
	case Cron:
		return strings.HasPrefix(key, file+": ") || key == file
	case SSH:
		return file == sshConfig || strings.HasPrefix(file, sshConfig+".d/")
	case TLS:
		from, _, _ := strings.Cut(key, ": ")
		return from == file || slices.Contains(trusted, from) && path.Dir(from) == path.Dir(file) // single certificates are beside the bundle
	case Service, Running, Timer:
		return isUnitFile(file, key)
	case Unit:
		unit, _, _ := strings.Cut(key, ": ")
		return isUnitFile(file, strings.TrimPrefix(unit, "*."))
	case SysctlFile:
		return file == "/etc/sysctl.conf" || slices.Contains(sysctlDirs, path.Dir(file)) && path.Ext(file) == ".conf"
	}
	return false
}

// isUnitFile reports whether a file belongs to a unit: its own file, a link that
// enables it, or a drop-in.
func isUnitFile(file, unit string) bool {
	dir, base := path.Split(file)
	if strings.HasPrefix(dir, "/etc/rc") {
		name := strings.TrimSuffix(unit, ".service")
		return len(base) > 3 && base[3:] == name
	}
	return slices.ContainsFunc(dropInDirs, func(d string) bool { return strings.HasPrefix(dir, d+"/") }) &&
		(base == unit || base == unit+".d" || path.Base(dir) == unit+".d")
}
