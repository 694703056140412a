package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// statusInterval is the interval at which the start is checked.
const statusInterval = 200 * time.Millisecond

// A foreground is a manifest that runs until its process ends. If the process
// is killed, the next command that opens the data directory removes its pods.
type foreground struct {
	runner
	division
	controller *local.Controller
	logs       *followers
	pods       []*pod.Pod // that run once
}

func (r runner) foreground(ctx context.Context, d division) error {
	f := &foreground{runner: r, division: d, logs: r.newFollowers()}
	defer f.logs.end()
	var err error
	f.controller, err = local.Open(ctx, local.Options{
		Engine: r.engine, Ephemeral: true, Events: r.event, Created: f.logs.follow,
		Log: func(err error) { r.progress("%v", err) },
	})
	if err != nil {
		return err
	}
	if err := f.bringUp(ctx); err != nil {
		return errors.Join(err, f.removeAll())
	}
	err = f.keep(ctx)
	if ctx.Err() != nil {
		r.progress("removing %s", text.Count(f.count(), "pod"))
		err = nil
	}
	return errors.Join(err, f.removeAll())
}

// bringUp starts everything and waits until it is ready.
func (f *foreground) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.ready)
	defer cancel()
	if f.keeps() {
		out, err := f.controller.Apply(ctx, f.kept, local.Author{UID: os.Geteuid(), PID: os.Getpid()}, false)
		if err != nil {
			return err
		}
		for _, n := range out.Notes {
			f.progress("note: %s", n)
		}
	}
	for i := range f.once {
		f.once[i].Ephemeral = true
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		f.pods, err = f.start(ctx, f.once)
		return err
	})
	group.Go(func() error { return f.waitComplete(ctx) })
	return group.Wait()
}

// waitComplete waits until the first rollout of every long-running workload is
// complete.
func (f *foreground) waitComplete(ctx context.Context) error {
	said := map[local.Key]bool{}
	for {
		list, err := f.controller.List()
		if err != nil {
			return err
		}
		for _, s := range list {
			if err := notComplete(s); err != nil {
				return err
			}
			if s.Phase == rollout.Complete && !said[s.Key] {
				said[s.Key] = true
				f.progress("%s/%s is complete: %s%s", s.Kind, s.Name, text.Count(s.Ready, "instance"), addressesOf(s))
			}
		}
		if len(said) == len(list) {
			return nil
		}
		select {
		case <-ctx.Done():
			return f.readyTimeout(ctx, list)
		case <-time.After(statusInterval):
		}
	}
}

// notComplete returns why a first rollout cannot complete, nil as long as it
// can.
func notComplete(s local.Status) error {
	switch {
	case s.Paused:
		return hint{fmt.Errorf("%s/%s is paused, and would never start", s.Kind, s.Name), "remove spec.paused, or use adamant apply and adamant rollout resume"}
	case !s.Phase.Ended() || s.Phase == rollout.Complete:
		return nil
	}
	err := fmt.Errorf("%s/%s did not come about: %s", s.Kind, s.Name, s.Reason)
	for _, i := range s.Instances {
		if i.Drift == rollout.Drifted {
			return hint{err, "what it changed is in " + i.Evidence + "; seal it (adamant learn, adamant seal), or annotate it " + rollout.AnnotationOnDrift + ": report"}
		}
	}
	return hint{err, "what its instances wrote is on stdout"}
}

// readyTimeout returns why not everything was ready in time.
func (f *foreground) readyTimeout(ctx context.Context, list []local.Status) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	n := slices.IndexFunc(list, func(s local.Status) bool { return s.Phase != rollout.Complete })
	s := list[max(n, 0)]
	err := fmt.Errorf("%s/%s is not complete after %s: %d of %d instances are ready", s.Kind, s.Name, f.ready, s.Ready, s.Replicas)
	for _, i := range s.Instances {
		if i.Phase != "Ready" && i.Message != "" {
			err = fmt.Errorf("%w; %s: %s", err, i.Name, i.Message)
			break
		}
	}
	return hint{err, "--ready-timeout gives it longer"}
}

func addressesOf(s local.Status) string {
	text := ""
	for _, p := range s.Services {
		text += ", " + p.Name + at(p.Address)
	}
	return text
}

// count returns the declared number of pods.
func (f *foreground) count() int {
	n := len(f.pods)
	list, err := f.controller.List()
	if err != nil {
		return n
	}
	for _, s := range list {
		n += s.Replicas
	}
	return n
}

// keep supervises everything until all has completed or one pod failed.
func (f *foreground) keep(ctx context.Context) error {
	f.progress("supervising %s; Ctrl-C removes them", text.Count(f.count(), "pod"))
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range f.pods {
		told := *p // a copy, because the supervisor changes its own
		f.logs.follow(&told)
		group.Go(func() error { return superviseUntilDone(ctx, p, f.event) })
	}
	if f.keeps() {
		group.Go(func() error { <-ctx.Done(); return nil })
	}
	return group.Wait()
}

// superviseUntilDone supervises a pod until it has completed. Supervise returns
// ErrLost after the pod's sandbox was lost; the next call recreates it.
func superviseUntilDone(ctx context.Context, p *pod.Pod, events pod.Events) error {
	for {
		err := p.Supervise(ctx, pod.Supervision{Events: events})
		if !errors.Is(err, pod.ErrLost) {
			return err
		}
	}
}

// removeAll removes everything, also after an interrupt.
func (f *foreground) removeAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return f.remove(f.pods) })
	return errors.Join(f.controller.RemoveAll(ctx), group.Wait())
}
