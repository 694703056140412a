package facts

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// UnitDirs returns the directories in which systemd looks for units. The first that has
// a unit wins (systemd.unit(5)).
func UnitDirs() []string { return slices.Clone(unitDirs) }

var unitDirs = []string{
	"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
}

// timerFacts returns the enabled timers of systemd and their schedules, from the units
// and their drop-ins.
func timerFacts(from files) []Fact {
	u := units{from, map[string][]string{}}
	wanted := map[string]bool{}
	for _, base := range unitDirs {
		u.names[base] = from.namesIn(base)
		for _, dir := range u.names[base] {
			if strings.HasSuffix(dir, ".wants") || strings.HasSuffix(dir, ".requires") {
				for _, unit := range from.namesIn(path.Join(base, dir)) {
					wanted[unit] = path.Ext(unit) == ".timer"
				}
			}
		}
	}
	var facts []Fact
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !wanted[name] {
			continue
		}
		if schedule := u.schedule(name); schedule != "" {
			facts = append(facts, Fact{Timer, name, schedule})
		}
	}
	return facts
}

// units finds the files of systemd's units.
type units struct {
	from  files
	names map[string][]string // entries of each of unitDirs, so that it is listed once
}

// schedule returns the settings of a timer's section Timer. It is empty for a masked
// timer.
func (u units) schedule(name string) string {
	s := schedule{last: map[string]string{}}
	for _, file := range u.files(name) {
		s.read(lines(u.from, file))
	}
	return s.String()
}

// files returns the files of a unit in the order in which systemd reads them: its own
// or its template's, and the drop-ins by name. Of drop-ins with the same name the first
// directory wins.
func (u units) files(name string) []string {
	names := []string{name}
	if at := strings.Index(name, "@"); at >= 0 {
		names = append(names, name[:at+1]+path.Ext(name))
	}
	own := u.own(names)
	if own == "" {
		return nil
	}
	dropped := map[string]string{}
	for _, dir := range unitDirs {
		for _, n := range append(names, path.Ext(name)[1:]) {
			if !slices.Contains(u.names[dir], n+".d") {
				continue
			}
			for _, base := range u.from.namesIn(path.Join(dir, n+".d")) {
				if path.Ext(base) == ".conf" && dropped[base] == "" {
					dropped[base] = path.Join(dir, n+".d", base)
				}
			}
		}
	}
	files := []string{own}
	for _, base := range slices.Sorted(maps.Keys(dropped)) {
		files = append(files, dropped[base])
	}
	return files
}

// own returns the first file with one of a unit's names, empty if there is none or the
// unit is masked. A masked unit is a link to a device, which open refuses.
func (u units) own(names []string) string {
	for _, n := range names {
		for _, dir := range unitDirs {
			if !slices.Contains(u.names[dir], n) {
				continue
			}
			f, err := u.from.open(path.Join(dir, n))
			if err != nil {
				return ""
			}
			f.Close()
			return path.Join(dir, n)
		}
	}
	return ""
}

// A schedule is a section Timer, see systemd.timer(5).
type schedule struct {
	times []string          // of OnCalendar= and the like all count
	last  map[string]string // of other keys the last counts
}

func (s *schedule) read(text []string) {
	eachSetting(text, func(section, key, value string) {
		if section == "[Timer]" {
			s.set(key, value)
		}
	})
}

func (s *schedule) set(key, value string) {
	switch {
	case !strings.HasPrefix(key, "On") || key == "OnClockChange" || key == "OnTimezoneChange":
		s.last[key] = value
	case value == "":
		s.times = nil // an empty value resets all kinds of times
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
