package inspect

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// A containerSpec is the part of a container's config.json, of the OCI runtime
// specification, from which its mounts follow.
type containerSpec struct {
	Root struct {
		Readonly bool `json:"readonly"`
	} `json:"root"`
	Mounts []mountSpec `json:"mounts"`
	Linux  struct {
		MaskedPaths   []string `json:"maskedPaths"`
		ReadonlyPaths []string `json:"readonlyPaths"`
		Devices       []struct {
			Path string `json:"path"`
		} `json:"devices"`
		Namespaces []struct {
			Type string `json:"type"`
		} `json:"namespaces"`
	} `json:"linux"`
}

// hasNamespace reports whether the container has a namespace of its own, or shares one with
// others.
func (s containerSpec) hasNamespace(kind string) bool {
	for _, n := range s.Linux.Namespaces {
		if n.Type == kind {
			return true
		}
	}
	return false
}

type mountSpec struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options"`
}

func (s mountSpec) isBind() bool {
	return s.Type == "bind" || s.has("bind") || s.has("rbind")
}

func (s mountSpec) has(option string) bool { return slices.Contains(s.Options, option) }

// isReadOnly reports whether the mount is read-only. Of several options the last counts.
func (s mountSpec) isReadOnly() bool {
	readOnly := false
	for _, option := range s.Options {
		switch option {
		case "ro", "rro":
			readOnly = true
		case "rw", "rrw":
			readOnly = false
		}
	}
	return readOnly
}

// A mountView is the mount table of a container and of its runtime.
type mountView struct {
	table []mounts.Mount // of one mount namespace of the container
	host  []mounts.Mount // of the namespace of its runtime
	// resolve returns the path of a mount point without symbolic links.
	resolve func(string) string
	// exists reports whether the container has a path.
	exists func(string) bool
}

// The reasons of changes of mounts.
const (
	notInSpec = "not in the container's specification"
	ofSpec    = "in the container's specification"
)

// compareMounts returns the differences between the mounts of a container and those that
// its specification and its runtime gave it, and the number of those that are not listed.
func compareMounts(spec containerSpec, v mountView) (_ []drift.Change, more int) {
	c := mountComparison{mountView: v, spec: spec, taken: make([]bool, len(v.table))}
	c.root()
	for _, s := range spec.Mounts {
		c.expect(s)
	}
	c.paths()
	for i, m := range c.table {
		if !c.taken[i] && !c.isOfRuntime(m) && !c.isOfHost(m) {
			c.report(m.Point, "mount of "+describe(m)+", added", notInSpec)
		}
	}
	return c.changes, c.more
}

type mountComparison struct {
	mountView
	spec    containerSpec
	taken   []bool // entries of the table that are as they should be, or reported
	changes []drift.Change
	more    int // changes that are not listed
}

// maxMounts is the number of changes of mounts that are listed. A container may make
// 100,000 mounts (sysctl fs.mount-max).
const maxMounts = 1000

func (c *mountComparison) report(point, detail, reason string) {
	if len(c.changes) == maxMounts {
		c.more++
		return
	}
	c.changes = append(c.changes, drift.Change{
		Path: point, Kind: drift.Mounted, Class: drift.MountTable, Severity: drift.Critical, Reason: reason, Detail: detail,
	})
}

// describe returns the type of a mount, its root and whether it is writable, as text.
func describe(m mounts.Mount) string {
	what := m.Type
	if m.Root != "/" {
		what = fmt.Sprintf("%s of %s", m.Root, m.Type)
	}
	if !isReadOnly(m) {
		return what + ", writable"
	}
	return what + ", read-only"
}

func isReadOnly(m mounts.Mount) bool { return slices.Contains(strings.Split(m.Options, ","), "ro") }

// root takes the first mount at the root, which the runtime made.
func (c *mountComparison) root() {
	i := slices.IndexFunc(c.table, func(m mounts.Mount) bool { return m.Point == "/" })
	if i < 0 {
		return
	}
	c.taken[i] = true
	if c.spec.Root.Readonly && !isReadOnly(c.table[i]) {
		c.report("/", "mount read-only → writable", ofSpec)
	}
}

// expect takes the mount that a specification made.
func (c *mountComparison) expect(s mountSpec) {
	point := c.resolve(path.Clean("/" + s.Destination))
	other := -1
	for i, m := range c.table {
		if c.taken[i] || m.Point != point {
			continue
		}
		if !c.isMadeOf(m, s) {
			other = i
			continue
		}
		c.taken[i] = true
		// runc leaves the directory of the hierarchies of cgroup v1 writable.
		isHierarchies := s.Type == "cgroup" && m.Type == "tmpfs"
		if s.isReadOnly() && !isReadOnly(m) && !isHierarchies {
			c.report(point, "mount read-only → writable", ofSpec)
		}
		return
	}
	if other >= 0 {
		c.taken[other] = true
		c.report(point, fmt.Sprintf("mount of %s in place of %s", describe(c.table[other]), s.Source), notInSpec)
		return
	}
	c.report(point, "mount of "+s.Source+" is gone", ofSpec)
}

// isMadeOf reports whether a mount is the one of a specification.
func (c *mountComparison) isMadeOf(m mounts.Mount, s mountSpec) bool {
	switch {
	case s.isBind():
		device, root, ok := origin(c.host, s.Source)
		return !ok || m.Device == device && strings.TrimSuffix(m.Root, "//deleted") == root
	case s.Type == "cgroup":
		return m.Type == "cgroup" || m.Type == "cgroup2" || m.Type == "tmpfs"
	}
	return m.Type == s.Type
}

// origin returns the file system and the directory in it that a path of the host has.
func origin(host []mounts.Mount, source string) (device, root string, ok bool) {
	if !path.IsAbs(source) {
		return "", "", false
	}
	best := -1
	for i, m := range host { // of several at one point the last is on top
		if isAtOrBelow(source, m.Point) && (best < 0 || len(m.Point) >= len(host[best].Point)) {
			best = i
		}
	}
	if best < 0 {
		return "", "", false
	}
	m := host[best]
	return m.Device, path.Join(m.Root, strings.TrimPrefix(source, m.Point)), true
}

func isAtOrBelow(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}

// paths takes the mounts that mask paths or make them read-only.
func (c *mountComparison) paths() {
	for _, list := range []struct {
		paths []string
		is    func(mounts.Mount) bool
		gone  string
	}{
		{c.spec.Linux.MaskedPaths, isMask, "mount that masks it is gone"},
		{c.spec.Linux.ReadonlyPaths, isReadOnly, "mount that makes it read-only is gone"},
	} {
		for _, p := range list.paths {
			point := c.resolve(path.Clean(p))
			found := false
			for i, m := range c.table {
				if !c.taken[i] && m.Point == point && list.is(m) && !found {
					c.taken[i], found = true, true
				}
			}
			// A path that the kernel does not have is not masked.
			if !found && c.exists(point) {
				c.report(point, list.gone, ofSpec)
			}
		}
	}
}

// isMask reports whether a mount hides a path as runc and crun do it: an empty read-only
// directory or /dev/null.
func isMask(m mounts.Mount) bool {
	return m.Type == "tmpfs" && isReadOnly(m) || path.Base(m.Root) == "null"
}

// The devices that a runtime binds if it cannot make them, see the OCI runtime
// specification, default devices.
var runtimeDevices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// isOfRuntime reports whether a runtime makes such a mount without being told.
func (c *mountComparison) isOfRuntime(m mounts.Mount) bool {
	switch {
	case m.Point == "/dev/console" || m.Point == "/dev/ptmx":
		return m.Type == "devpts"
	case slices.Contains(runtimeDevices, m.Point) || slices.ContainsFunc(c.spec.Linux.Devices, func(d struct {
		Path string `json:"path"`
	}) bool {
		return d.Path == m.Point
	}):
		return (m.Type == "devtmpfs" || m.Type == "tmpfs") && path.Base(m.Root) == path.Base(m.Point)
	case m.Type == "cgroup" || m.Type == "cgroup2":
		return slices.ContainsFunc(c.spec.Mounts, func(s mountSpec) bool {
			return s.Type == "cgroup" && isAtOrBelow(m.Point, path.Clean(s.Destination))
		})
	}
	return false
}

// isOfHost reports whether a mount came with a directory of the host, which has the same
// file system mounted there.
func (c *mountComparison) isOfHost(m mounts.Mount) bool {
	return slices.ContainsFunc(c.spec.Mounts, func(s mountSpec) bool {
		dest := c.resolve(path.Clean("/" + s.Destination))
		if !s.isBind() || m.Point == dest || !isAtOrBelow(m.Point, dest) {
			return false
		}
		at := filepath.Join(s.Source, strings.TrimPrefix(m.Point, dest))
		return slices.ContainsFunc(c.host, func(h mounts.Mount) bool {
			return h.Point == at && h.Device == m.Device && h.Root == m.Root
		})
	})
}
