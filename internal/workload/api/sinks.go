package api

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/event"
)

// An eventLog is a local.EventLog.
type eventLog interface {
	event.Log
	KeepCursors(names map[string]bool) error
}

// sinks deliver events to where the configuration wants them.
type sinks struct {
	log    eventLog
	stdout io.Writer
	report func(error)

	mu      sync.Mutex
	cancel  context.CancelFunc
	running *sync.WaitGroup // of the deliveries until cancel
	file    event.Counts
	webhook event.Counts
}

// sinkEnd is how long the end waits for a delivery. One to a pipe that nobody reads has
// no end.
const sinkEnd = 3 * time.Second

// set replaces all deliveries, which opens files again. An error changes nothing.
func (s *sinks) set(c EventsConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.deliveries(c)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, d := range list {
		names[d.Sink.Name()] = true
		// Before events happen that a new sink must get.
		if err := d.Begin(); err != nil {
			return err
		}
	}
	s.stop()
	// Once no delivery stores its place anymore. A place that stays is no reason to deliver nothing.
	if err := s.log.KeepCursors(names); err != nil {
		s.report(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	// One of its own: a delivery that has no end is not waited for by the next stop.
	s.cancel, s.running = cancel, &sync.WaitGroup{}
	for _, d := range list {
		s.running.Go(func() {
			d.Run(ctx)
			if err := d.Sink.Close(); err != nil {
				s.report(err)
			}
		})
	}
	return nil
}

// deliveries returns the deliveries of a configuration. Their sinks open nothing before the
// first event.
func (s *sinks) deliveries(c EventsConfig) ([]event.Delivery, error) {
	var list []event.Delivery
	add := func(sink event.Sink, counts *event.Counts) {
		list = append(list, event.Delivery{Log: s.log, Sink: sink, Counts: counts, Report: s.report})
	}
	switch c.File {
	case "":
	case "-":
		add(event.Stream{Out: s.stdout}, &s.file)
	default:
		add(event.NewFile(c.File), &s.file)
	}
	if c.Webhook != nil {
		w, err := c.Webhook.sink()
		if err != nil {
			return nil, err
		}
		add(w, &s.webhook)
	}
	return list, nil
}

// stop ends all deliveries. The caller holds mu.
func (s *sinks) stop() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	s.cancel = nil
	ended, running := make(chan struct{}), s.running
	go func() { running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(sinkEnd):
	}
}

// counts returns the counts of both kinds of sinks.
func (s *sinks) counts() map[string]*event.Counts {
	return map[string]*event.Counts{"file": &s.file, "webhook": &s.webhook}
}

func (s *sinks) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}
