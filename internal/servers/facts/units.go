package facts

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// dropInDirs are the directories with drop-ins of units in the order of their priority:
// those of systemctl set-property, and unitDirs.
var dropInDirs = append([]string{"/etc/systemd/system.control", "/run/systemd/system.control"}, unitDirs...)

// isLocal reports whether people write in a directory of units, not packages. Files of
// packages are explained by the versions of the packages.
func isLocal(dir string) bool {
	return !strings.HasSuffix(dir, "/lib/systemd/system") || strings.HasPrefix(dir, "/usr/local/")
}

// unitFacts returns the settings of drop-ins that are not from packages, and of units
// below /run, whose files are not compared: "nginx.service: [Service] LimitNOFILE". The
// drop-ins of all units of a type are those of "*.service".
func unitFacts(from files) []Fact {
	var facts []Fact
	dropIns := map[string]map[string]string{} // by the name of their directory and their own: the first file
	for _, dir := range dropInDirs {
		entries, err := from.list(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := path.Base(e.Path)
			switch {
			case strings.HasSuffix(name, ".d"):
				addDropIns(from, e.Path, dropIns)
			case e.Kind == tree.Regular && strings.HasPrefix(dir, "/run/"):
				facts = append(facts, settingsOf(from, name, []string{e.Path})...)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(dropIns)) {
		unit := strings.TrimSuffix(name, ".d")
		if !strings.Contains(unit, ".") {
			unit = "*." + unit
		}
		var files []string
		for _, base := range slices.Sorted(maps.Keys(dropIns[name])) {
			file := dropIns[name][base]
			if !isLocal(path.Dir(path.Dir(file))) {
				continue
			}
			files = append(files, file)
			if len(lines(from, file)) == 0 {
				facts = append(facts, Fact{Unit, unit + ": " + base, "masked or empty"})
			}
		}
		facts = append(facts, settingsOf(from, unit, files)...)
	}
	return facts
}

// addDropIns adds the drop-ins of a directory. Those of earlier directories with the
// same name stay.
func addDropIns(from files, dir string, dropIns map[string]map[string]string) {
	name := path.Base(dir)
	for _, base := range from.namesIn(dir) {
		if path.Ext(base) != ".conf" || base[0] == '.' {
			continue
		}
		if dropIns[name] == nil {
			dropIns[name] = map[string]string{}
		}
		if dropIns[name][base] == "" {
			dropIns[name][base] = path.Join(dir, base)
		}
	}
}

// settingsOf returns the settings in the files of a unit, in the order in which systemd
// reads them. Several values of one setting are one fact, because only systemd knows
// whether they add up; an empty value resets the ones before it. A timer's schedule is a
// fact of its own.
func settingsOf(from files, unit string, files []string) []Fact {
	values := map[string][]string{}
	for _, file := range files {
		eachSetting(lines(from, file), func(section, key, value string) {
			if section == "[Timer]" {
				return
			}
			key = unit + ": " + section + " " + key
			if value == "" {
				values[key] = nil
			}
			values[key] = append(values[key], value)
		})
	}
	var facts []Fact
	for _, key := range slices.Sorted(maps.Keys(values)) {
		facts = append(facts, Fact{Unit, key, orReset(strings.Join(values[key], " | "))})
	}
	return facts
}

// orReset returns the value of a setting, which is empty if a drop-in resets it.
func orReset(value string) string {
	if value == "" {
		return "reset"
	}
	return value
}

// maxUnitLine is the longest line that systemd reads, in bytes.
const maxUnitLine = 1 << 20

// eachSetting calls set for each assignment in a file of systemd.syntax(7). The section
// is in brackets.
func eachSetting(text []string, set func(section, key, value string)) {
	section, before := "", ""
	for _, line := range text {
		line = strings.TrimSpace(line)
		if line == "" && before == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		line = before + line
		if continued, ok := strings.CutSuffix(line, `\`); ok && len(line) < maxUnitLine {
			before = continued + " "
			continue
		}
		before = ""
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok {
			set(section, strings.TrimSpace(key), strings.Join(strings.Fields(value), " "))
		}
	}
}
