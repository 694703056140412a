package servers

import (
	"context"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/servers/capture"
	"github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/waves"
)

// A Repair is what would make one server like the others, in place.
type Repair = waves.Repair

// Repairs derives from a comparison the repair of each server that deviates. split
// counts the differences without a majority, which cannot be repaired.
func Repairs(c Comparison) (list []Repair, split int) { return waves.Repairs(c) }

// Model returns the first server that was reached and needs no repair: the one to
// capture, if all are to be replaced. It reports whether there is one.
func (g *Group) Model(c Comparison, repairs []Repair) (Host, bool) {
	i := slices.IndexFunc(g.Hosts, func(h Host) bool {
		return c.Unreached[h.Name] == "" && !slices.ContainsFunc(repairs, func(r Repair) bool { return r.Server == h.Name })
	})
	if i < 0 {
		return Host{}, false
	}
	return g.Hosts[i], true
}

// PlanCapture reads how a server would be captured.
func PlanCapture(ctx context.Context, h Host, o Options) (CapturePlan, error) {
	l, err := connect.Connect(ctx, h, o.Options)
	if err != nil {
		return CapturePlan{}, err
	}
	defer l.Close()
	_, p, err := planCapture(ctx, l, h.Name, nil)
	return p, err
}

// planCapture returns the plan as the server wrote it, too: parts of it are
// requested with the same bytes.
func planCapture(ctx context.Context, l *connect.Link, name string, args []string) ([]byte, CapturePlan, error) {
	text, err := l.Ask(ctx, append([]string{"part", "plan"}, args...))
	if err != nil {
		return nil, CapturePlan{}, fmt.Errorf("survey %s: %w", name, err)
	}
	p, err := capture.ParsePlan(text)
	if err != nil {
		return nil, CapturePlan{}, fmt.Errorf("survey %s: %w", name, err)
	}
	return text, p, nil
}
