package servers

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/waves"
)

// WatchOptions configures a watch.
type WatchOptions struct {
	Reference *Reference
	Every     time.Duration // from the start of a comparison to that of the next
	Rounds    int           // comparisons; 0 for no end
}

// A Round is one comparison of a watch.
type Round struct {
	Number     int // from 1
	Comparison Comparison
	Last       *Comparison // of the round before; nil in the first
	Err        error       // why nothing was compared
}

// Watch compares the servers every o.Every. report is called after each round and may
// change its comparison, as Attribute does; if it returns an error, Watch returns that.
// Watch returns the last comparison, or nil if ctx was done first.
//
// A round in which nothing could be compared is reported as incomplete and does not
// end the watch, because the reference may just be restarting.
func (g *Group) Watch(ctx context.Context, o WatchOptions, report func(*Round) error) (*Comparison, error) {
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	var last, good *Comparison
	for n := 1; ; n++ {
		c, err := g.Compare(ctx, o.Reference)
		if ctx.Err() != nil {
			return nil, nil
		}
		if err != nil {
			c = failedRound(g.Hosts, c.Unreached, good, err)
		}
		r := &Round{Number: n, Comparison: c, Last: last, Err: err}
		if err := report(r); err != nil {
			return nil, err
		}
		last = &r.Comparison
		if err == nil {
			good = last
		}
		if n == o.Rounds {
			return last, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// failedRound returns the comparison of a round that compared nothing: all servers are
// unknown. It keeps the causes of good, the last successful one, because otherwise they
// would be reported as gone.
func failedRound(hosts []Host, unreached map[string]string, good *Comparison, err error) Comparison {
	c := Comparison{Unreached: unreached, Unknowns: map[string][]facts.Unknown{}}
	if good != nil {
		c.Causes, c.Alarms = good.Causes, good.Alarms
		maps.Copy(c.Unknowns, good.Unknowns)
	}
	for _, h := range hosts {
		if unreached[h.Name] == "" {
			c.Servers = append(c.Servers, h.Name)
			u := facts.Unknown{Path: "/", Reason: "it was not compared: " + err.Error()}
			c.Unknowns[h.Name] = append(slices.Clone(c.Unknowns[h.Name]), u)
		}
	}
	return c
}

// Attribute adds to each cause of a comparison the update that explains it. records is
// the directory of the records. Attribute does not create it, because users who may
// only compare have no write access.
func Attribute(c *Comparison, records string) error {
	list, err := waves.ReadHistory(records)
	if err != nil {
		return err
	}
	waves.AttributeCauses(c, list)
	return nil
}
