package pod

import (
	"context"
	"os"
	"time"
)

// Terminate removes a pod that other programs are connected to. It differs from
// Remove in two ways. It calls ended once the containers have ended, at the latest
// with the grace period, while the pod's network still delivers what they sent;
// the context of ended ends with the grace period. And if this process ends before
// the containers have, Recover leaves them the rest of their grace period, in which
// another process may call Terminate again: IsEnding reports such a pod.
func (p *Pod) Terminate(ctx context.Context, events Events, ended func(context.Context)) error {
	return p.remove(ctx, removal{grace: -1, events: events, ended: ended})
}

// IsEnding reports whether the process that terminated the pod ended before the
// pod did, and the pod's grace period is not over.
func (p *Pod) IsEnding() bool {
	return p.Phase == Removing && time.Now().Before(newLayout(p.e.opts.Root, p.UID).endsBy())
}

// A removal is a call of Remove or Terminate.
type removal struct {
	grace  int64 // in seconds; negative for the pod's own
	events Events

	ended  func(context.Context) // nil for Remove
	endsBy time.Time             // when the grace period of Terminate ends
}

// begin marks the pod. The grace period of a pod that is ending goes on.
func (r *removal) begin(l layout, grace int64) error {
	if r.ended == nil {
		return l.markRemoving(time.Time{})
	}
	if r.endsBy = l.endsBy(); r.endsBy.IsZero() {
		r.endsBy = time.Now().Add(time.Duration(grace) * time.Second)
	}
	r.grace = max(int64(time.Until(r.endsBy).Round(time.Second)/time.Second), 0)
	return l.markRemoving(r.endsBy)
}

// finish calls ended.
func (r *removal) finish(ctx context.Context) error {
	if r.ended == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // the containers have the rest of their time
	}
	ctx, cancel := context.WithDeadline(ctx, r.endsBy)
	defer cancel()
	r.ended(ctx)
	return nil
}

// endsBy returns when the grace period of a pod ends that is terminated, the zero
// time for others.
func (l layout) endsBy() time.Time {
	mark, err := os.ReadFile(l.removing())
	if err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, string(mark))
	// The clock may have been set back since.
	if err != nil || time.Until(t) > maxGrace {
		return time.Time{}
	}
	return t
}

// maxGrace bounds how long Recover leaves a pod that is ending.
const maxGrace = 24 * time.Hour
