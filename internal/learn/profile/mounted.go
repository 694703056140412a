package profile

import (
	"path"
	"slices"
	"strings"
)

// A Mounted is a writable volume of the manifest that a container had while it was learned.
// What it wrote there is in no Write, because it needs no other volume.
type Mounted struct {
	Path    string `json:"path"`              // as in the manifest, clean
	Written bool   `json:"written,omitempty"` // or tried to
}

// mounted returns the volumes that the container had. They are unknown without traces,
// because the overlay's upper directory has nothing of them.
func (in Input) mounted() []Mounted {
	if in.Method == "upperdir" {
		return nil
	}
	list := []Mounted{}
	for _, m := range in.Rootfs.Mounts {
		if m.Volume && !m.ReadOnly {
			list = append(list, Mounted{path.Clean("/" + m.Path), in.wroteIn(in.Rootfs.resolve(m.Path))})
		}
	}
	return mergeMounted(list, []Mounted{})
}

// wroteIn reports whether a trace has an access at or below a directory.
func (in Input) wroteIn(dir string) bool {
	for _, t := range in.Traces {
		if in.passesOver(t.Container) {
			continue
		}
		for _, a := range t.Accesses {
			if within(path.Clean("/"+a.Path), dir) || a.Peer != "" && within(path.Clean("/"+a.Peer), dir) {
				return true
			}
		}
	}
	return false
}

// mergeMounted returns the volumes of two profiles, sorted by path. They are unknown if
// those of one are.
func mergeMounted(a, b []Mounted) []Mounted {
	if a == nil || b == nil {
		return nil
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(a, b Mounted) int { return strings.Compare(a.Path, b.Path) })
	out := []Mounted{}
	for _, m := range all {
		if last := len(out) - 1; last >= 0 && out[last].Path == m.Path {
			out[last].Written = out[last].Written || m.Written
			continue
		}
		out = append(out, m)
	}
	return out
}

// Wrote reports whether the container wrote at or below a directory, or tried to, so that
// it needs a volume there. known is false if the profile does not tell, because the
// directory was in a volume then, or may have been.
func (c Container) Wrote(dir string) (wrote, known bool) {
	if c.wroteOnRoot(dir) {
		return true, true
	}
	// Images have /var/run as a link to /run, and a profile has the path without links.
	if rest, ok := strings.CutPrefix(dir, "/var/run"); ok && (rest == "" || rest[0] == '/') && c.wroteOnRoot("/run"+rest) {
		return true, true
	}
	known = c.Mounts != nil
	for _, m := range c.Mounts {
		switch {
		case m.Path == dir:
			return m.Written, true
		case m.Written && within(dir, m.Path):
			known = false
		}
	}
	return false, known
}

// wroteOnRoot reports whether the profile has a volume, a write or an attempt at or below a
// directory.
func (c Container) wroteOnRoot(dir string) bool {
	for _, v := range c.Volumes {
		if within(v.MountPath, dir) {
			return true
		}
	}
	for _, list := range [][]Write{c.Writes, c.Refused, c.Spared, c.Unsolved} {
		for _, w := range list {
			if mayBeWithin(w.Path, dir) || slices.ContainsFunc(w.Peers, func(peer string) bool { return mayBeWithin(peer, dir) }) {
				return true
			}
		}
	}
	return slices.ContainsFunc(c.Evidence, func(f Failure) bool { return mayBeWithin(f.Path, dir) })
}

// mayBeWithin is within for the path of a Write, of which a part with "*" stands for any
// name.
func mayBeWithin(name, dir string) bool {
	parts, want := strings.Split(name, "/"), strings.Split(dir, "/")
	if dir == "/" {
		return true
	}
	if len(parts) < len(want) {
		return false
	}
	for i, part := range want {
		if parts[i] != part && !strings.Contains(parts[i], "*") {
			return false
		}
	}
	return true
}
