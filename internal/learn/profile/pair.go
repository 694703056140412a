package profile

import (
	"path"
)

// joinPairs widens mounts until both paths of every rename and hard link are on
// the same mount.
func (p *planner) joinPairs(all []pair) {
	for changed := true; changed; {
		changed = false
		// Widening a mount for one pair may separate another pair's paths, so
		// all are checked again until nothing changes.
		for _, pair := range all {
			if p.joinPair(pair) {
				changed = true
			}
		}
	}
}

// joinPair reports whether it had to change a mount.
func (p *planner) joinPair(pair pair) bool {
	a, b := p.mountOf(pair.write.Path), p.mountOf(pair.peer)
	if a == b && a != "" || p.rootfs.onMount(pair.peer) {
		return false
	}
	if a == "" {
		a = path.Dir(pair.write.Path)
	}
	if b == "" {
		b = path.Dir(pair.peer)
	}
	// The nearest directory that contains both paths is enough. place moves it
	// up to one of the image that can be mounted.
	dir := p.place(commonDir(a, b))
	if !pair.failed && p.protects(dir) {
		// The program may copy where it cannot rename or link, as mv does. A
		// proof shows whether it does.
		return false
	}
	if dir == "/" || isKernels(dir) {
		p.giveUp(pair.write, "one volume for "+pair.write.Path+" and "+pair.peer+
			" would be the root: works only if the program copies where it cannot rename or link, as mv does")
		return false
	}
	p.mounts = append(p.mounts, mount{dir, imageDir})
	p.dropNested()
	return true
}

// protects reports whether a directory is shared by several programs or holds
// code, so that it should not become writable without need.
func (p *planner) protects(dir string) bool {
	if isShared(dir) || isFixed(dir) || isKernels(dir) {
		return true
	}
	_, count := p.rootfs.codeIn(dir)
	return count > 0
}

// mountOf returns the mount that contains a path, or "".
func (p *planner) mountOf(name string) string {
	for _, m := range p.mounts {
		if within(name, m.path) {
			return m.path
		}
	}
	return ""
}
