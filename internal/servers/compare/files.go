package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxDifferences bounds the differences between files, because servers that have
// nothing in common cannot be compared file by file.
const maxDifferences = 500_000

// maxListed bounds the entries that one server lists of one level of directories.
const maxListed = 2_000_000

// ErrTooDifferent is returned when servers differ in more files than are compared.
var ErrTooDifferent = errors.New("the servers differ in too many files")

// fileDifferences descends into the directories whose digests differ. It asks for one
// level at a time, because a round trip for each directory would take too long. It
// fails if it finds more than most differences.
func fileDifferences(ctx context.Context, peers []*facts.Peer, m majority, most int) ([]Difference, error) {
	if sameRoot(peers) {
		return nil, nil
	}
	var list []Difference
	level := []string{"/"}
	has := map[string][]*facts.Peer{"/": peers} // the servers that have a directory
	for depth := 0; len(level) > 0; depth++ {
		if depth > facts.MaxDepth {
			return nil, has[level[0]][0].ProtocolError("directories are nested too deep")
		}
		found, err := listAll(ctx, level, has)
		if err != nil {
			return nil, err
		}
		var next []string
		for _, dir := range level {
			below := compareDir(m, dir, found[dir], &list)
			for p, who := range below {
				next = append(next, p)
				has[p] = pick(peers, who)
			}
			delete(has, dir) // only the current level is needed, and there may be many
		}
		if len(list) > most || len(next) > most {
			return nil, tooDifferent(peers, list, most)
		}
		slices.Sort(next)
		level = next
	}
	slices.SortFunc(list, func(a, b Difference) int { return tree.ComparePaths(a.Key, b.Key) })
	return list, nil
}

// tooDifferent returns the error for too many differences. If one server alone has
// most of them, it is a *PeerError, so that the others are compared without that
// server.
func tooDifferent(peers []*facts.Peer, list []Difference, most int) error {
	alone := map[string]int{}
	for _, d := range list {
		if len(d.Values) == 1 {
			for server := range d.Values {
				alone[server]++
			}
		} else if len(d.Odd) == 1 {
			alone[d.Odd[0]]++
		}
	}
	for _, p := range peers {
		if 2*alone[p.Name] > len(list) {
			return &facts.PeerError{Name: p.Name, Err: fmt.Errorf("%w: most of them are its own", ErrTooDifferent)}
		}
	}
	return fmt.Errorf("%w: more than %d", ErrTooDifferent, most)
}

func sameRoot(peers []*facts.Peer) bool {
	return !slices.ContainsFunc(peers, func(p *facts.Peer) bool { return p.Summary.Digest != peers[0].Summary.Digest })
}

func pick(peers []*facts.Peer, names []string) []*facts.Peer {
	var list []*facts.Peer
	for _, p := range peers {
		if slices.Contains(names, p.Name) {
			list = append(list, p)
		}
	}
	return list
}

// listAll asks all servers in parallel for the directories that they have, and returns
// the nodes by directory and server.
func listAll(ctx context.Context, dirs []string, has map[string][]*facts.Peer) (map[string]map[string][]facts.Node, error) {
	wanted := map[*facts.Peer][]string{}
	for _, dir := range dirs {
		for _, p := range has[dir] {
			wanted[p] = append(wanted[p], dir)
		}
	}
	type listing struct {
		peer *facts.Peer
		dirs []string
		got  [][]facts.Node
	}
	results := make(chan listing, len(wanted))
	var g errgroup.Group
	for p, dirs := range wanted {
		g.Go(func() error {
			var got [][]facts.Node
			listed := 0
			for part := range slices.Chunk(dirs, facts.DirsPerRequest) {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				nodes, err := p.List(part)
				if err != nil {
					return err
				}
				got = append(got, nodes...)
				for _, dir := range nodes {
					listed += len(dir)
				}
				if listed > maxListed {
					return p.ProtocolError("too many files")
				}
			}
			results <- listing{p, dirs, got}
			return nil
		})
	}
	err := g.Wait()
	close(results)
	// If the attributes of one server are unknown, those of the others would all
	// look like differences.
	noXattrs := slices.ContainsFunc(slices.Collect(maps.Keys(wanted)), func(p *facts.Peer) bool { return p.NoXattrs })
	found := map[string]map[string][]facts.Node{}
	for l := range results {
		for i, dir := range l.dirs {
			if found[dir] == nil {
				found[dir] = map[string][]facts.Node{}
			}
			if noXattrs {
				for n := range l.got[i] {
					l.got[i][n].Xattrs = nil
				}
			}
			found[dir][l.peer.Name] = l.got[i]
		}
	}
	return found, err
}

// compareDir compares the entries of one directory, adds the differences to list, and
// returns the directories to descend into with the servers that have them.
func compareDir(m majority, dir string, listed map[string][]facts.Node, list *[]Difference) map[string][]string {
	byName := map[string]map[string]facts.Node{}
	for server, nodes := range listed {
		for _, n := range nodes {
			if byName[n.Name] == nil {
				byName[n.Name] = map[string]facts.Node{}
			}
			byName[n.Name][server] = n
		}
	}
	below := map[string][]string{}
	for name, nodes := range byName {
		p := path.Join(dir, name)
		values := map[string]string{}
		for server, n := range nodes {
			values[server] = n.Identity()
		}
		if d, differs := m.difference(values); differs {
			d.Section, d.Key, d.Fields, d.Derived = File, p, fieldsOf(nodes), facts.IsDerived(p)
			*list = append(*list, d)
		}
		if who := serversToDescend(m.servers, nodes); len(who) > 0 {
			below[p] = who
		}
	}
	return below
}

// serversToDescend returns the servers that have a directory, or none if its content
// is the same on all servers.
func serversToDescend(servers []string, nodes map[string]facts.Node) []string {
	var who []string
	digests := map[string]bool{}
	for _, s := range servers {
		if n, ok := nodes[s]; ok && n.IsDir() {
			who = append(who, s)
			digests[n.Digest] = true
		}
	}
	// An equal digest proves equal content below, but where a server lacks the
	// directory every entry is a difference.
	if len(who) == len(servers) && len(digests) == 1 {
		return nil
	}
	return who
}

// fieldsOf returns the names of the fields that differ between any two of the nodes.
func fieldsOf(nodes map[string]facts.Node) []string {
	var all []string
	keys := slices.Sorted(maps.Keys(nodes))
	for _, k := range keys[1:] {
		for _, f := range nodes[keys[0]].Diff(nodes[k]) {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}
