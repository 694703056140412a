package profile

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// The limits of the plan's fine-grained mounts. Beyond them one broader volume
// is easier to understand, and it hides nothing because its content is copied
// up.
const (
	maxMade     = 3 // directories the program made, mounted one by one in place of the directory around them
	maxFiles    = 3 // single files mounted in one directory
	minSiblings = 4 // volumes side by side that become one
)

// The kinds of mount.
type kind int

const (
	imageDir kind = iota // a directory that the image has
	madeDir              // a directory that the program made; the runtime makes the mount point
	file                 // a single file
)

// A mount is a planned volume, before its size and content are known.
type mount struct {
	path string
	kind kind
}

// holds reports whether the mount satisfies a need.
func (m mount) holds(n need) bool {
	if m.kind == imageDir {
		return within(n.dir, m.path)
	}
	return within(n.path, m.path)
}

// A planner chooses mounts for needs.
type planner struct {
	rootfs   Rootfs
	blocked  map[string]bool // paths that must be no mount points, as a proof has shown
	mounts   []mount         // sorted, none inside another
	unsolved []Write
}

// Plan chooses a container's volumes again from its writes and evidence, and
// returns the container with new Volumes and Unsolved. Volumes that stay keep
// what runs have shown of them: Need, Used and Durable.
func Plan(c Container, s Rootfs) Container {
	s = s.canonical()
	writes := withEvidence(c.Writes, c.Evidence, s)
	p := planner{rootfs: s, blocked: blockedBy(c.Evidence)}

	var needs []need
	for i := range writes {
		needs = append(needs, needsOf(&writes[i], s)...)
	}
	byAnchor := map[string][]need{}
	for _, n := range needs {
		anchor := p.place(n.dir)
		byAnchor[anchor] = append(byAnchor[anchor], n)
	}
	for _, anchor := range slices.Sorted(maps.Keys(byAnchor)) {
		p.choose(anchor, byAnchor[anchor])
	}
	p.dropNested()
	p.joinSiblings()
	p.joinPairs(pairsOf(writes, c.Evidence, s))

	earlier := map[string]Volume{}
	for _, v := range c.Volumes {
		earlier[v.MountPath] = v
	}
	c.Volumes, c.Unsolved = nil, p.unsolved
	for _, m := range p.mounts {
		v := p.furnish(m, writes, needs, c)
		was := earlier[v.MountPath]
		v.Need, v.Used, v.Durable = was.Need, was.Used, was.Durable
		if v.Exposes = s.exposes(m); v.Exposes != "" {
			v.Files = s.filesIn(m.path, writes)
		}
		c.Volumes = append(c.Volumes, v)
	}
	return c
}

// place returns the nearest directory of the image that can be a mount point,
// which in Kubernetes must not contain a colon.
func (p *planner) place(dir string) string {
	dir = p.rootfs.anchor(dir)
	for strings.Contains(dir, ":") {
		dir = path.Dir(dir)
	}
	return dir
}

// choose chooses the smallest mounts for the needs whose nearest directory in
// the image is the anchor.
func (p *planner) choose(anchor string, needs []need) {
	finest, rest := p.finer(anchor, needs)
	switch {
	case len(rest) == 0:
		p.mounts = append(p.mounts, finest...)
	case anchor != "/" && !isKernels(anchor):
		p.mounts = append(p.mounts, mount{anchor, imageDir})
	default:
		p.mounts = append(p.mounts, finest...)
		for _, n := range rest {
			p.giveUp(n.write, "names in "+anchor+" itself cannot change while the root file system is read-only")
		}
	}
}

// finer returns mounts that are smaller than the anchor, and the needs that
// they do not satisfy.
func (p *planner) finer(anchor string, needs []need) (mounts []mount, rest []need) {
	groups := map[string][]need{}
	for _, n := range needs {
		at := anchor
		if n.path != anchor {
			at = childOf(n.path, anchor)
		}
		groups[at] = append(groups[at], n)
	}
	files, made := 0, 0
	for _, at := range slices.Sorted(maps.Keys(groups)) {
		switch group := groups[at]; {
		case p.canMountFile(anchor, at, group):
			mounts = append(mounts, mount{at, file})
			files++
		case p.canMountMade(anchor, at, group):
			mounts = append(mounts, mount{at, madeDir})
			made++
		default:
			rest = append(rest, group...)
		}
	}
	// The root directory has no broader mount to fall back to, so the limits do
	// not apply there.
	if anchor != "/" && (files > maxFiles || made > maxMade) {
		return nil, needs
	}
	return mounts, rest
}

// canMountMade reports whether a directory that the program created can be a
// mount point: it has the same name in each run, is not removed or renamed
// (EBUSY), and the directory around it has other content.
func (p *planner) canMountMade(anchor, dir string, needs []need) bool {
	if dir == anchor || p.rootfs.has(dir) || p.blocked[dir] || isVarying(dir) || isScratch(anchor) {
		return false
	}
	if p.rootfs.content(anchor) == 0 && anchor != "/" {
		return false // the anchor is empty: to mount it hides nothing and asks less of the program
	}
	made := false
	for _, n := range needs {
		if n.path != dir {
			made = true // something lies in it, so it is a directory
			continue
		}
		for op := range n.write.Ops {
			if op != trace.Mkdir && op != trace.Check && !isAttribute(op) {
				return false
			}
			made = made || op == trace.Mkdir
		}
	}
	return made
}

// canMountFile reports whether a single file can be a mount point: a file of
// the image that is changed in place among programs and configuration, or a
// file that is created and stays in the root directory, which cannot be a
// volume.
func (p *planner) canMountFile(anchor, name string, needs []need) bool {
	if name == anchor || p.blocked[name] || !isFixed(anchor) || isVarying(name) {
		return false
	}
	for _, n := range needs {
		if n.path != name {
			return false
		}
		if !n.inPlace && (anchor != "/" || !onlyMakes(n.write)) {
			return false
		}
	}
	return true
}

// onlyMakes reports whether a write creates a file and changes its content or
// attributes, but neither removes nor renames it.
func onlyMakes(w *Write) bool {
	for op := range w.Ops {
		switch op {
		case trace.Create, trace.Write, trace.Truncate, trace.Check:
		default:
			if !isAttribute(op) {
				return false
			}
		}
	}
	return len(w.Ops) > 0
}

// isVarying reports whether a path has another name in each run, or cannot be a
// mount point.
func isVarying(name string) bool {
	base := path.Base(name)
	return generalise(base) != base || strings.ContainsAny(base, "*:")
}

func (p *planner) giveUp(w *Write, reason string) {
	u := *w
	u.Reason = reason
	same := func(x Write) bool { return x.Path == u.Path }
	if !slices.ContainsFunc(p.unsolved, same) {
		p.unsolved = append(p.unsolved, u)
	}
}

// dropNested sorts the mounts and removes those inside another. The content that
// is copied up into the outer one includes that of the inner one.
func (p *planner) dropNested() {
	slices.SortFunc(p.mounts, func(a, b mount) int { return tree.ComparePaths(a.path, b.path) })
	var outer []mount
	for _, m := range p.mounts {
		if len(outer) == 0 || !within(m.path, outer[len(outer)-1].path) {
			outer = append(outer, m)
		}
	}
	p.mounts = outer
}

// joinSiblings replaces many mounts side by side by the directory around them,
// if that belongs to one program.
func (p *planner) joinSiblings() {
	for changed := true; changed; {
		changed = false
		count := map[string]int{}
		for _, m := range p.mounts {
			count[path.Dir(m.path)]++
		}
		for _, dir := range slices.Sorted(maps.Keys(count)) {
			if count[dir] >= minSiblings && !isShared(dir) && !isFixed(dir) {
				p.mounts = append(p.mounts, mount{dir, imageDir})
				// The new mount may itself be one of several siblings, so the
				// count starts again after each change.
				p.dropNested()
				changed = true
				break
			}
		}
	}
}
