package servers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// The types of comparisons.
type (
	Comparison = compare.Comparison
	Difference = compare.Difference
	Cause      = compare.Cause
	CauseKind  = compare.Kind
	Alarm      = compare.Alarm
	Section    = facts.Section
	Unknown    = facts.Unknown
	Snapshot   = facts.Snapshot
	Summary    = facts.Summary
)

// The kinds of causes and the section of files, for readers of comparisons.
const (
	ByPackage   = compare.ByPackage
	ByAccount   = compare.ByAccount
	ByKey       = compare.ByKey
	BySetuid    = compare.BySetuid
	ByPreload   = compare.ByPreload
	ByPAM       = compare.ByPAM
	BySource    = compare.BySource
	ByResult    = compare.ByResult
	FileSection = compare.File
)

// Options configures how servers are reached.
type Options struct {
	connect.Options
	Parallel int // servers that are read at the same time, at least 1

	// Progress is called before servers are read, with their number. It returns a
	// function that is called with the number of those that were read and the names of
	// those that are being read, the longest first, and one for the end. It may be nil.
	Progress func(total int) (set func(done int, running []string), end func())
}

// LoadPrograms returns the agents that can be sent to servers. This program itself is
// sent if no agent was built in.
func LoadPrograms() (connect.Programs, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return connect.LoadPrograms(self)
}

// A Group is servers that are compared and changed together.
type Group struct {
	Hosts   []Host
	Refused []Refusal // selected, too, but they cannot be reached; comparisons are incomplete
	Options Options
}

// forEach calls f for all hosts, at most Parallel at the same time, and returns the
// errors in the hosts' order.
func (g *Group) forEach(hosts []Host, f func(i int, h Host) error) []error {
	var p progress
	if g.Options.Progress != nil {
		var end func()
		p.set, end = g.Options.Progress(len(hosts))
		defer end()
	}
	errs := make([]error, len(hosts))
	slots := make(chan struct{}, max(g.Options.Parallel, 1))
	var wg sync.WaitGroup
	for i, h := range hosts {
		slots <- struct{}{}
		p.begin(h.Name)
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i, h)
			p.end(h.Name)
		})
	}
	wg.Wait()
	return errs
}

// A progress counts the servers that were read.
type progress struct {
	set func(done int, running []string) // nil if nobody wants to know

	mu      sync.Mutex
	done    int
	running []string // in the order in which they were begun
}

func (p *progress) begin(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, name)
	p.show()
}

func (p *progress) end(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	i := slices.Index(p.running, name)
	p.running = slices.Delete(p.running, i, i+1)
	p.show()
}

func (p *progress) show() {
	if p.set != nil {
		p.set(p.done, p.running)
	}
}

// Compare reads all servers and compares those that were reached. ref may be nil. If
// nothing could be compared, it returns an error and a comparison that has only the
// servers that were not reached.
func (g *Group) Compare(ctx context.Context, ref *Reference) (Comparison, error) {
	c, err := g.compare(ctx, g.Hosts, ref, nil)
	for _, r := range g.Refused {
		if c.Unreached == nil {
			c.Unreached = map[string]string{}
		}
		c.Unreached[r.Name()] = r.Err.Error()
	}
	return c, err
}

// compare compares some hosts. read is called with each server that was reached;
// it may be nil.
func (g *Group) compare(ctx context.Context, hosts []Host, ref *Reference, read func(*facts.Peer)) (Comparison, error) {
	if ref == nil {
		ref = &Reference{}
	}
	// Servers stay connected until they have been compared, because only the files of
	// directories that differ are requested.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sessions := make([]*connect.Session, len(hosts))
	errs := g.forEach(hosts, func(i int, h Host) (err error) {
		sessions[i], err = connect.Open(ctx, h, g.Options.Options)
		return err
	})
	defer func() {
		for _, s := range sessions {
			if s != nil {
				s.Close()
			}
		}
	}()
	if ctx.Err() != nil {
		return Comparison{}, ctx.Err()
	}
	unreached := map[string]string{}
	var peers []*facts.Peer
	base := ref.peer()
	if base != nil {
		peers = append(peers, base)
	}
	for i, s := range sessions {
		if errs[i] != nil {
			unreached[hosts[i].Name] = errs[i].Error()
			continue
		}
		peers = append(peers, s.Peer)
		if read != nil {
			read(s.Peer)
		}
		if s.Peer.Name == ref.server {
			base = s.Peer
		}
	}
	if ref.server != "" && base == nil {
		return Comparison{Unreached: unreached}, noReference(ref.server, unreached[ref.server])
	}
	c, err := compare.Compare(ctx, peers, base)
	var lost *facts.PeerError
	if errors.As(err, &lost) {
		unreached[lost.Name] = lost.Err.Error()
		err = noReference(lost.Name, lost.Err.Error())
	}
	maps.Copy(c.Unreached, unreached)
	return c, err
}

func noReference(name, why string) error {
	return errors.New(name + ", the baseline, was not reached: " + why)
}

// SaveSnapshot reads everything on a server that Compare compares, and writes it to a
// file that only its owner can read, because its digests tell whether a guess of a
// file's content is right.
func SaveSnapshot(ctx context.Context, h Host, o Options, file string) (*Snapshot, error) {
	session, err := connect.Open(ctx, h, o.Options)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	s, err := facts.TakeSnapshot(ctx, session.Peer)
	if err != nil {
		return nil, err
	}
	if err := durable.Write(file, 0o600, s.Write); err != nil {
		return nil, fmt.Errorf("write snapshot: %w", err)
	}
	return s, nil
}
