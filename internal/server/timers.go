package server

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/tree"
)

// unitDirs are where systemd looks for units, the first that has one counts.
var unitDirs = []string{
	"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
}

// timerFacts are the timers of systemd that start by themselves, and when they do:
// from their units and the files that were dropped in beside those.
func timerFacts(root *tree.Root) []Fact {
	dirs := ownDirs(root, unitDirs)
	wanted := map[string]bool{}
	for _, base := range dirs {
		for _, dir := range namesIn(root, base) {
			if strings.HasSuffix(dir, ".wants") || strings.HasSuffix(dir, ".requires") {
				for _, unit := range namesIn(root, path.Join(base, dir)) {
					wanted[unit] = path.Ext(unit) == ".timer"
				}
			}
		}
	}
	var facts []Fact
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !wanted[name] || isMasked(root, dirs, name) {
			continue
		}
		if schedule := scheduleOf(root, dirs, name); schedule != "" {
			facts = append(facts, Fact{Timer, name, schedule})
		}
	}
	return facts
}

// namesIn are the names in a directory, without a look at what they name.
func namesIn(root *tree.Root, dir string) []string {
	f, err := root.OpenDir(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // what it lists counts
	return names
}

// isMasked reports whether a unit was made one that cannot be started.
func isMasked(root *tree.Root, dirs []string, name string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		e, err := root.Lstat(path.Join(dir, name))
		return err == nil && e.Kind == tree.Symlink && e.Target == "/dev/null"
	})
}

// ownDirs are directories without those that are others under another name, as
// /lib is where /usr is merged.
func ownDirs(root *tree.Root, dirs []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool {
		canonical, exists, err := root.Resolve(dir)
		if err != nil || !exists || seen[canonical] {
			return true
		}
		seen[canonical] = true
		return false
	})
}

// scheduleOf is when a timer starts its unit: the settings of its section Timer.
func scheduleOf(root *tree.Root, dirs []string, name string) string {
	s := schedule{last: map[string]string{}}
	for _, file := range unitFiles(root, dirs, name) {
		s.read(lines(root, file))
	}
	return s.String()
}

// unitFiles are the files that make up a unit, in the order in which they count:
// the unit's own, or its template's, and what was dropped in, by name. Of two
// with the same name that of the first directory counts.
func unitFiles(root *tree.Root, dirs []string, name string) []string {
	names := []string{name}
	if at := strings.Index(name, "@"); at >= 0 {
		names = append(names, name[:at+1]+path.Ext(name))
	}
	var files []string
	for _, n := range names {
		i := slices.IndexFunc(dirs, func(dir string) bool {
			_, exists, err := root.Resolve(path.Join(dir, n))
			return err == nil && exists
		})
		if i >= 0 {
			files = append(files, path.Join(dirs[i], n))
			break
		}
	}
	dropped := map[string]string{}
	for _, dir := range dirs {
		for _, n := range append(names, path.Ext(name)[1:]) {
			entries, err := root.ReadDir(path.Join(dir, n+".d"))
			if err != nil {
				continue
			}
			for _, e := range entries {
				if base := path.Base(e.Path); path.Ext(base) == ".conf" && dropped[base] == "" {
					dropped[base] = e.Path
				}
			}
		}
	}
	for _, base := range slices.Sorted(maps.Keys(dropped)) {
		files = append(files, dropped[base])
	}
	return files
}

// A schedule is a section Timer, see systemd.timer(5).
type schedule struct {
	times []string          // OnCalendar= and the like add up
	last  map[string]string // of others the last counts
}

func (s *schedule) read(text []string) {
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
		if key, value, ok := strings.Cut(line, "="); ok && section == "[Timer]" {
			s.set(strings.TrimSpace(key), strings.Join(strings.Fields(value), " "))
		}
	}
}

// maxUnitLine is the longest line that systemd reads, in bytes.
const maxUnitLine = 1 << 20

func (s *schedule) set(key, value string) {
	switch {
	case !strings.HasPrefix(key, "On") || key == "OnClockChange" || key == "OnTimezoneChange":
		s.last[key] = value
	case value == "":
		s.times = nil // of all kinds
	default:
		s.times = append(s.times, key+"="+value)
	}
}

func (s *schedule) String() string {
	parts := slices.Clone(s.times)
	slices.Sort(parts)
	for _, key := range slices.Sorted(maps.Keys(s.last)) {
		if s.last[key] != "" {
			parts = append(parts, key+"="+s.last[key])
		}
	}
	return strings.Join(parts, ", ")
}
