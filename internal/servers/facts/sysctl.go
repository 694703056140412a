package facts

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// sysctlDirs are the directories of sysctl.d(5). Of files with the same name the first
// counts.
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// systemdSysctl is the program that sets sysctls at a boot of systemd.
const systemdSysctl = "/usr/lib/systemd/systemd-sysctl"

// sysctlFileFacts returns the settings of the kernel that the next boot makes, by their
// names with dots. The last file in the order of the names wins. Only without systemd
// does /etc/sysctl.conf count by itself, and then last: on Debian, 99-sysctl.conf is a
// link to it.
func sysctlFileFacts(from files) []Fact {
	_, bySystemd := from.stat(systemdSysctl)
	first := map[string]string{}
	for _, dir := range sysctlDirs {
		for _, name := range from.namesIn(dir) {
			if path.Ext(name) == ".conf" && first[name] == "" && !(bySystemd && name[0] == '.') {
				first[name] = path.Join(dir, name)
			}
		}
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(first)) {
		list = append(list, first[name])
	}
	if !bySystemd {
		list = append(list, "/etc/sysctl.conf")
	}
	values := map[string]string{}
	for _, file := range list {
		for _, line := range lines(from, file) {
			if name, value, ok := sysctlOf(line); ok {
				values[name] = value
			}
		}
	}
	var facts []Fact
	for _, name := range slices.Sorted(maps.Keys(values)) {
		facts = append(facts, Fact{SysctlFile, name, values[name]})
	}
	return facts
}

// sysctlOf parses "name = value". The separator of a name may be a slash; the first one
// in it decides, and the other character is part of a component.
func sysctlOf(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' || line[0] == ';' {
		return "", "", false
	}
	name, value, ok = strings.Cut(line, "=")
	// A failure to set a name with a hyphen is ignored. Without a value it is excluded
	// from patterns.
	name = strings.TrimSpace(strings.TrimPrefix(name, "-"))
	if name == "" || !ok {
		return "", "", false
	}
	return strings.ReplaceAll(name, "/", "."), strings.Join(strings.Fields(value), " "), true
}
