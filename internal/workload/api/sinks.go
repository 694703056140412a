package api

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/event"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// sinks deliver events to where the configuration wants them.
type sinks struct {
	log    local.EventLog
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

// set replaces all deliveries, which opens files again.
func (s *sinks) set(c EventsConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	list := map[event.Sink]*event.Counts{}
	switch c.File {
	case "":
	case "-":
		list[event.Stream{Out: s.stdout}] = &s.file
	default:
		list[event.NewFile(c.File)] = &s.file
	}
	if c.Webhook != nil {
		w, err := c.Webhook.sink()
		if err != nil {
			return err
		}
		list[w] = &s.webhook
	}
	names := map[string]bool{}
	for sink := range list {
		names[sink.Name()] = true
	}
	if err := s.log.KeepCursors(names); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	// One of its own: a delivery that has no end is not waited for by the next stop.
	s.cancel, s.running = cancel, &sync.WaitGroup{}
	for sink, counts := range list {
		d := event.Delivery{Log: s.log, Sink: sink, Counts: counts, Report: s.report}
		// Before events happen that a new sink must get.
		if err := d.Begin(); err != nil {
			return errors.Join(err, sink.Close())
		}
		s.running.Go(func() {
			d.Run(ctx)
			if err := sink.Close(); err != nil {
				s.report(err)
			}
		})
	}
	return nil
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
