package policy

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// The rules that need profiles: without one of a container, they find nothing in it.
const (
	MissingVolume     = "missing-volume"
	SuperfluousVolume = "superfluous-volume"
)

// NeedsProfile reports whether a rule is evaluated for containers with a profile only.
func NeedsProfile(rule string) bool { return rule == MissingVolume || rule == SuperfluousVolume }

// Needs are what containers need by their profiles, by the object and by the path of the
// container in it, as in Finding.In.
type Needs map[*manifest.Resource]map[string]Need

// A Need is what the profile of a container tells about its volumes.
type Need struct {
	Profile string         // of which workload, in which file, for messages
	Missing []NeededVolume // what sealing would add

	// Wrote reports whether the container wrote at or below a directory, or tried to. known
	// is false if the profile does not tell, and Unknown is why.
	Wrote   func(dir string) (wrote, known bool)
	Unknown string

	// Fills is set for a container that sealing added. It fills the volumes of others and
	// needs no volume itself.
	Fills bool
}

// A NeededVolume is a path at which a container needs a volume.
type NeededVolume struct {
	Path string
	Why  string // the first writes there; may be empty
}

// addNeeds sets the needs of the containers that have a profile, and returns their number.
func (p *pod) addNeeds(needs Needs) (n int) {
	for i := range p.containers {
		c := &p.containers[i]
		if need, ok := needs[p.object][fmt.Sprintf("%s.%s[%d]", p.path, c.list, c.index)]; ok {
			c.need = &need
			n++
		}
	}
	return n
}

func missingVolume(c container, r *reporter) {
	if c.need == nil {
		return
	}
	for _, v := range c.need.Missing {
		why := ""
		if v.Why != "" {
			why = " (" + v.Why + ")"
		}
		r.at([]string{"volumeMounts"}, "no volume is mounted at %s, where it writes%s: %s asks for one", v.Path, why, c.need.Profile).about(v.Path)
	}
}

// superfluousVolume reports a writable emptyDir that only this container has mounted, and
// in which it writes nothing. What another container writes or reads there may be its use.
func superfluousVolume(c container, r *reporter) {
	if c.need == nil || c.need.Wrote == nil {
		return
	}
	for _, m := range c.mounts {
		if m.volume.kind != "emptyDir" || !m.writable() || c.pod.isShared(m.volume.name, c) {
			continue
		}
		switch wrote, known := c.need.Wrote(m.path); {
		case wrote:
		case known:
			r.mount(m, "volume %s is writable at %s, where it writes nothing by %s", m.volume.name, m.path, c.need.Profile)
		default:
			r.note("%s, container %s: whether it needs volume %s at %s is not known by %s: %s",
				r.object, c.name(), m.volume.name, m.path, c.need.Profile, c.need.Unknown)
		}
	}
}

// isShared reports whether a container other than this one has a volume, except those that
// fill it before the start.
func (p *pod) isShared(volume string, by container) bool {
	for _, c := range p.containers {
		if c.list == by.list && c.index == by.index || c.need != nil && c.need.Fills {
			continue
		}
		for _, m := range c.mounts {
			if m.volume.name == volume {
				return true
			}
		}
	}
	return false
}
