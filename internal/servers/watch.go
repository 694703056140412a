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

// Watch compares the servers again and again. report is called after each round
// and may complete its comparison, as Attribute does; an error of it ends the
// watch. Watch returns the last comparison, and nil if ctx ended it.
//
// A round in which nothing could be compared is reported as incomplete, and does
// not end the watch, because the reference may just be restarting.
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

// failedRound returns the comparison of a round that compared nothing. The causes
// of the last good one are kept, because they have not gone; all servers are
// unknown.
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

// Attribute adds to the causes of a comparison which update led to them, by the
// records in a directory. It writes nothing, because whoever compares need not be
// allowed to update.
func Attribute(c *Comparison, records string) error {
	list, err := waves.ReadHistory(records)
	if err != nil {
		return err
	}
	waves.AttributeCauses(c, list)
	return nil
}
