package event

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/text"
)

// A Log holds the latest events. It is safe for concurrent use.
type Log interface {
	// Since returns up to limit events after a sequence number, oldest first.
	Since(after uint64, limit int) ([]Event, error)
	// Last returns the sequence number of the latest event.
	Last() (uint64, error)
	// Appended returns a channel that is closed when an event is appended after the call.
	Appended() <-chan struct{}
	// Append appends an event about the daemon.
	Append(reason, message string) error
	// Cursor returns the sequence number that SetCursor stored, or ok = false.
	Cursor(name string) (sequence uint64, ok bool, err error)
	SetCursor(name string, sequence uint64) error
}

// A Sink gets events in order.
type Sink interface {
	// Name identifies what the sink writes to. Its place in the log is stored by it.
	Name() string
	// Write delivers events, or none of them is known to be delivered. An error that is a
	// *RefusedError is not tried again.
	Write(ctx context.Context, list []Event) error
	Close() error
}

// A RefusedError is returned for events that a receiver will never accept.
type RefusedError struct{ error }

// Unwrap returns the reason.
func (r *RefusedError) Unwrap() error { return r.error }

// Counts count what a Delivery did.
type Counts struct {
	Delivered, Lost, Failed atomic.Uint64 // events, events, and attempts that were repeated
}

// A Delivery passes the events of a log on to a sink.
type Delivery struct {
	Log    Log
	Sink   Sink
	Counts *Counts
	Report func(error)   // gets the first of several errors in a row; the delivery tries again
	Again  time.Duration // pause after the first failure; it doubles up to a minute; 1 s if 0
}

// batch is the largest number of events that are delivered at once.
const batch = 100

// lost is the reason of an event about events that a sink did not get.
const lost = "EventsLost"

// maxAgain is the longest pause between two attempts.
const maxAgain = time.Minute

// Run delivers the events after the last one that the sink had, until ctx ends. The place in the log is stored after a delivery: an
// event is delivered at least once, and twice if the process is killed in between. The log
// is the queue: a sink that falls behind by more than the log holds loses events, which is
// counted and reported as an event.
func (d Delivery) Run(ctx context.Context) {
	limit, failures := batch, 0
	for ctx.Err() == nil {
		appended := d.Log.Appended() // before the log is read, so that no event is missed
		n, err := d.step(ctx, limit)
		var refused *RefusedError
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &refused) && n == 0:
			limit = 1 // finds the event that is refused
		case refused != nil:
			limit, failures = batch, 0
			clock.Sleep(ctx, d.pause(0)) // because the receiver may refuse all events
		case err != nil:
			if d.Counts.Failed.Add(1); failures == 0 {
				d.Report(fmt.Errorf("deliver events to %s, trying again: %w", d.Sink.Name(), err))
			}
			clock.Sleep(ctx, d.pause(failures))
			failures++
		case n == 0:
			select {
			case <-appended:
			case <-ctx.Done():
			}
		default:
			limit, failures = batch, 0
		}
	}
}

func (d Delivery) pause(failures int) time.Duration {
	return min(cmp.Or(d.Again, time.Second)<<min(failures, 10), maxAgain)
}

// Begin stores the place of a new sink in the log: it gets the events from now on.
func (d Delivery) Begin() error {
	_, known, err := d.Log.Cursor(d.Sink.Name())
	if err != nil || known {
		return err
	}
	last, err := d.Log.Last()
	if err != nil {
		return err
	}
	return d.Log.SetCursor(d.Sink.Name(), last)
}

// step delivers the next events, and returns how many the sink is done with. That is one if an
// event was refused and is lost, and the error is then a *RefusedError.
func (d Delivery) step(ctx context.Context, limit int) (int, error) {
	at, _, err := d.Log.Cursor(d.Sink.Name())
	if err != nil {
		return 0, err
	}
	list, err := d.Log.Since(at, limit)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	if n := list[0].Sequence - at - 1; n > 0 {
		if err := d.lose(list[0].Sequence-1, n, "it was too slow or did not answer"); err != nil {
			return 0, err
		}
	}
	last := list[len(list)-1].Sequence
	err = d.Sink.Write(ctx, list)
	var refused *RefusedError
	if errors.As(err, &refused) && len(list) == 1 {
		return 1, cmp.Or(d.refuse(list[0], err.Error()), err)
	}
	if err != nil {
		return 0, err
	}
	d.Counts.Delivered.Add(uint64(len(list)))
	return len(list), d.Log.SetCursor(d.Sink.Name(), last)
}

// refuse gives up an event that the receiver refused.
func (d Delivery) refuse(e Event, why string) error {
	if e.Reason != lost {
		return d.lose(e.Sequence, 1, why)
	}
	// An event about this loss could be refused too, and so on without an end.
	if err := d.Log.SetCursor(d.Sink.Name(), e.Sequence); err != nil {
		return err
	}
	d.Counts.Lost.Add(1)
	return nil
}

// lose gives up the events up to a sequence number.
func (d Delivery) lose(upTo, n uint64, why string) error {
	// The place is stored first: if the process is killed in between the loss is not
	// reported twice, and it shows in the sequence numbers anyway.
	if err := d.Log.SetCursor(d.Sink.Name(), upTo); err != nil {
		return err
	}
	d.Counts.Lost.Add(n)
	return d.Log.Append(lost, fmt.Sprintf("%s not delivered to %s: %s", text.Count(int(n), "event"), d.Sink.Name(), why))
}
