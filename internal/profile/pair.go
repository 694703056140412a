package profile

import "path"

// joinPairs widens mounts until both ends of every rename and hard link are on
// the same one.
func (p *planner) joinPairs(all [][2]string) {
	for changed := true; changed; {
		changed = false
		for _, pair := range all {
			if p.joinPair(pair) {
				changed = true
			}
		}
	}
}

// joinPair reports whether it had to change a mount.
func (p *planner) joinPair(pair [2]string) bool {
	a, b := p.mountOf(pair[0]), p.mountOf(pair[1])
	if a == b && a != "" || p.scene.onMount(pair[1]) {
		return false
	}
	for i, at := range []*string{&a, &b} {
		if *at == "" {
			*at = path.Dir(pair[i])
		}
	}
	dir := p.scene.anchor(commonDir(a, b))
	if dir == "/" || isKernels(dir) {
		p.giveUp(&Write{Path: pair[0], Peers: []string{pair[1]}},
			"a rename or hard link between "+a+" and "+b+" needs one volume for both, and that would be the root")
		return false
	}
	p.mounts = append(p.mounts, mount{dir, imageDir})
	p.dropNested()
	return true
}

// mountOf returns the mount that a path lies on, or "".
func (p *planner) mountOf(name string) string {
	for _, m := range p.mounts {
		if within(name, m.path) {
			return m.path
		}
	}
	return ""
}
