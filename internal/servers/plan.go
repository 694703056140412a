package servers

import (
	"context"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/servers/capture"
	"github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/waves"
)

// A Repair is the changes in place that make one server equal to the others.
type Repair = waves.Repair

// A Plan has two ways to make servers the same: to repair those that deviate, and to
// replace all of them by instances of one image.
type Plan struct {
	Comparison Comparison
	Repairs    []Repair     // of the servers that deviate
	Split      int          // differences without a majority, which cannot be repaired
	Model      string       // the server to capture, empty if every server deviates
	Capture    *CapturePlan // of Model, nil if CaptureErr is set
	CaptureErr error        // why the capture of Model could not be planned
}

// Complete reports whether everything could be read and compared.
func (p Plan) Complete() bool {
	return p.Comparison.Complete() && p.CaptureErr == nil && (p.Capture == nil || p.Capture.Complete())
}

// Plan compares the servers and changes nothing. reading is called before the server
// that would be captured is read. If that fails, the plan still has the repairs.
func (g *Group) Plan(ctx context.Context, ref *Reference, reading func(server string)) (Plan, error) {
	c, err := g.Compare(ctx, ref)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Comparison: c}
	p.Repairs, p.Split = waves.Repairs(c)
	h, found := g.model(c, p.Repairs)
	if !found {
		return p, nil
	}
	reading(h.Name)
	p.Model = h.Name
	if p.Capture, p.CaptureErr = g.planCapture(ctx, h); ctx.Err() != nil {
		return Plan{}, ctx.Err()
	}
	return p, nil
}

func (g *Group) planCapture(ctx context.Context, h Host) (*CapturePlan, error) {
	l, err := connect.Connect(ctx, h, g.Options.Options)
	if err != nil {
		return nil, fmt.Errorf("survey %s: %w", h.Name, err)
	}
	defer l.Close()
	_, p, err := planCapture(ctx, l, h.Name, nil)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// model returns the first server that was reached and needs no repair, and whether
// there is one.
func (g *Group) model(c Comparison, repairs []Repair) (Host, bool) {
	i := slices.IndexFunc(g.Hosts, func(h Host) bool {
		return c.Unreached[h.Name] == "" && !slices.ContainsFunc(repairs, func(r Repair) bool { return r.Server == h.Name })
	})
	if i < 0 {
		return Host{}, false
	}
	return g.Hosts[i], true
}

// planCapture asks a server how it would be captured. It returns the plan also as the
// server wrote it, because its parts are requested with the same bytes.
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
