package inventory

import (
	"slices"
	"strings"
)

// maxCycles bounds the cycles among groups that are removed one by one.
const maxCycles = 16

// setDepths removes cycles and sets the depth of each group.
func (g *graph) setDepths() error {
	for range maxCycles {
		left := g.visit()
		if left == nil {
			return nil
		}
		way := g.cycle(left)
		parent, cut := g.firstOf(way)
		err := fail(cut.at, "take one of them out", "groups contain themselves: %s", shownWay(way))
		g.removeEdge(parent, cut.child)
		for _, name := range way {
			if name != groupAll {
				g.blame(g.groups[name], err)
			}
		}
	}
	return exceed(Origin{}, "groups contain themselves in more than %d ways", maxCycles-1)
}

// visit visits each group after all its parents, and sets its depth. If groups contain
// themselves, it returns the number of unvisited parents of each group.
func (g *graph) visit() map[string]int {
	left := map[string]int{}
	for name, in := range g.groups {
		left[name], in.depth = len(in.parents), 0
	}
	var free []string
	for _, name := range g.groupOrder {
		if left[name] == 0 {
			free = append(free, name)
		}
	}
	done := 0
	for ; done < len(free); done++ {
		in := g.groups[free[done]]
		for _, e := range in.children {
			child := g.groups[e.child]
			child.depth = max(child.depth, in.depth+1) // in Ansible the longest path counts
			if left[e.child]--; left[e.child] == 0 {
				free = append(free, e.child)
			}
		}
	}
	if done == len(g.groups) {
		return nil
	}
	return left
}

// cycle returns a cycle among the groups with left parents. Its first group is also its
// last.
func (g *graph) cycle(left map[string]int) []string {
	var at string
	for _, name := range g.groupOrder {
		if left[name] > 0 {
			at = name
			break
		}
	}
	// Each group that is left has a parent that is left, so going up must reach a
	// group twice. Going down could end in a group that is only below a cycle.
	var way []string
	for !slices.Contains(way, at) {
		way = append(way, at)
		parents := g.groups[at].parents
		at = parents[slices.IndexFunc(parents, func(p string) bool { return left[p] > 0 })]
	}
	way = append(way[slices.Index(way, at):], at)
	slices.Reverse(way)
	return way
}

// removeEdge takes a group out of another one.
func (g *graph) removeEdge(parent, child string) {
	p, c := g.groups[parent], g.groups[child]
	p.children = slices.DeleteFunc(p.children, func(e edge) bool { return e.child == child })
	c.parents = slices.DeleteFunc(c.parents, func(name string) bool { return name == parent })
	if len(c.parents) == 0 && child != groupAll {
		c.parents = []string{groupAll}
		all := g.groups[groupAll]
		all.children = append(all.children, edge{child: child})
	}
}

// firstOf returns the first edge of a path through groups that an inventory contains. The
// edges from "all" that finish adds have no origin.
func (g *graph) firstOf(way []string) (parent string, e edge) {
	for i, parent := range way[:len(way)-1] {
		for _, e := range g.groups[parent].children {
			if e.child == way[i+1] && e.at.File != "" {
				return parent, e
			}
		}
	}
	return way[0], edge{child: way[1]}
}

func shownWay(way []string) string {
	if len(way) > 10 {
		way = append(slices.Clone(way[:10]), "…")
	}
	return strings.Join(way, " > ")
}
