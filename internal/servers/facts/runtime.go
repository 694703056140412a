package facts

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"
)

// runtimeDirs are directories below /run from which programs read configuration until
// the next boot. Those of networks are left out, because their files have the addresses
// of the server.
var runtimeDirs = []string{
	"/run/binfmt.d", "/run/dbus-1/system.d", "/run/environment.d", "/run/modprobe.d", "/run/modules-load.d", "/run/polkit-1/rules.d",
	"/run/systemd/coredump.conf.d", "/run/systemd/journald.conf.d", "/run/systemd/logind.conf.d", "/run/systemd/resolved.conf.d",
	"/run/systemd/sleep.conf.d", "/run/systemd/system.conf.d", "/run/systemd/timesyncd.conf.d", "/run/systemd/user", "/run/systemd/user.conf.d",
	"/run/sysusers.d", "/run/tmpfiles.d", "/run/udev/rules.d",
}

// ownRuntimeDirs are directories below /run whose content is facts of other sections.
var ownRuntimeDirs = []string{"/run/systemd/system", "/run/systemd/system.control", "/run/sysctl.d"}

// RuntimeDirs returns the directories below /run from which facts are read.
func RuntimeDirs() []string { return slices.Concat(ownRuntimeDirs, runtimeDirs) }

// madeAtBoot are files that the boot makes from the modules of the kernel.
var madeAtBoot = []string{"/run/tmpfiles.d/static-nodes.conf", "/run/tmpfiles.d/kmod.conf"}

// runtimeFacts returns the configuration below /run, whose files are not compared.
func runtimeFacts(from files) []Fact {
	var facts []Fact
	for _, dir := range runtimeDirs {
		for _, s := range snippetsIn(from, dir) {
			if slices.Contains(madeAtBoot, s.path) || path.Base(s.path)[0] == '.' {
				continue
			}
			if s.file.Mode&0o004 == 0 {
				facts = append(facts, Fact{Runtime, s.path, strconv.FormatInt(s.file.Size, 10) + " bytes that not everybody may read"})
				continue
			}
			facts = append(facts, Fact{Runtime, s.path, textValue(lines(from, s.path))})
		}
	}
	return facts
}

// maxTextValue bounds the text in the value of a fact, in bytes.
const maxTextValue = 200

// textValue returns the lines of a text that are not comments. Of a long text it is the
// beginning, with a digest of all lines.
func textValue(text []string) string {
	var rules []string
	for _, line := range text {
		if line = strings.Join(strings.Fields(line), " "); line != "" && line[0] != '#' && line[0] != ';' {
			rules = append(rules, line)
		}
	}
	value := strings.Join(rules, " | ")
	if value == "" {
		return "empty"
	}
	if len(value) <= maxTextValue {
		return value
	}
	digest := sha256.Sum256([]byte(value))
	return strings.ToValidUTF8(value[:maxTextValue], "") + " … sha256:" + hex.EncodeToString(digest[:8])
}
