package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/event"
)

// An EventBatch is a part of the log of events.
type EventBatch struct {
	Events []event.Event `json:"events"`
	Next   uint64        `json:"next"` // sequence number to ask for the following ones with
}

const (
	eventBatch = 1000             // events that are read at once
	eventWait  = 30 * time.Second // how long a request waits for an event
)

// events answers with the events after a sequence number that the query's namespace, kind
// and name match, each if it is not empty. With wait it waits for one.
func (s *Server) events(r *http.Request, _ struct{}) (any, error) {
	q := r.URL.Query()
	var after uint64
	if v := q.Get("after"); v != "" {
		var err error
		if after, err = strconv.ParseUint(v, 10, 64); err != nil {
			return nil, badRequest{fmt.Errorf("after=%q: want a number", v)}
		}
	}
	ref := Ref{Namespace: q.Get("namespace"), Kind: q.Get("kind"), Name: q.Get("name")}
	ctx, cancel := context.WithTimeout(r.Context(), eventWait)
	defer cancel()
	log := s.controller.EventLog()
	if last, err := log.Last(); err != nil {
		return nil, err
	} else if after > last {
		after = 0 // of a log that was removed with its data directory
	}
	for {
		appended := log.Appended()
		list, err := log.Since(after, eventBatch)
		if err != nil {
			return nil, err
		}
		b := EventBatch{Events: []event.Event{}, Next: after}
		for _, e := range list {
			b.Next = e.Sequence
			if ref.matchesObject(e.Object) {
				b.Events = append(b.Events, e)
			}
		}
		if len(b.Events) > 0 || len(list) > 0 || q.Get("wait") == "" {
			return b, nil
		}
		select {
		case <-appended:
		case <-s.ending.Done(): // the end of the daemon must not wait for a watch
			return b, nil
		case <-ctx.Done():
			return b, nil
		}
	}
}

// matchesObject reports whether a reference, whose parts may be empty, matches an object.
func (r Ref) matchesObject(o event.Object) bool {
	return (r.Namespace == "" || r.Namespace == o.Namespace) && (r.Kind == "" || r.Kind == o.Kind) && (r.Name == "" || r.Name == o.Name)
}

// Events calls show with each event that a reference matches, oldest first. An empty
// reference matches all. With follow it goes on with those that happen until ctx ends, also
// over a restart of the daemon.
func (c *Client) Events(ctx context.Context, r Ref, follow bool, show func(event.Event) error) error {
	q := url.Values{"namespace": {r.Namespace}, "kind": {r.Kind}, "name": {r.Name}}
	var after uint64
	wasServing := false
	for {
		q.Set("after", strconv.FormatUint(after, 10))
		var b EventBatch
		err := c.call(ctx, http.MethodGet, "/v1/events?"+q.Encode(), nil, &b)
		switch {
		case ctx.Err() != nil && follow:
			return nil
		case err != nil && follow && wasServing && !isRefused(err):
			// The daemon may be restarting. The next one has the same log.
			clock.Sleep(ctx, pollInterval)
			continue
		case err != nil:
			return err
		}
		wasServing = true
		for _, e := range b.Events {
			if err := show(e); err != nil {
				return err
			}
		}
		if b.Next == after {
			if !follow {
				return nil
			}
			q.Set("wait", "1")
		}
		after = b.Next
	}
}

// isRefused reports whether the daemon answered with an error.
func isRefused(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// PrintEvents prints the events that a reference matches: as one document or, with follow,
// as one for each event.
func (c *Client) PrintEvents(ctx context.Context, r Ref, follow bool, p report.Printer) error {
	if follow {
		return c.Events(ctx, r, true, func(e event.Event) error { return p.Print(e) })
	}
	var list []event.Event
	err := c.Events(ctx, r, false, func(e event.Event) error {
		list = append(list, e)
		return nil
	})
	if err != nil {
		return err
	}
	return p.Print(event.NewList(list))
}
