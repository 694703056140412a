package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// statusInterval is the interval at which the start is checked.
const statusInterval = 200 * time.Millisecond

// ForegroundOptions configures RunForeground. All fields but Kept and Once must
// be set.
type ForegroundOptions struct {
	Engine  *pod.Engine
	Kept    manifest.File // its workloads run until they are deleted; see SplitLongRunning
	Once    []pod.PodSpec // pods that run once
	Ready   time.Duration // time until everything must be ready
	Author  Author
	Events  pod.Events
	Created func(*pod.Pod)                   // called with each pod, whose log can be read; it must not change the pod
	Say     func(format string, args ...any) // called with each message, one line
	Ended   func()                           // called when all pods have completed or one failed, before they are removed
	Running func(pods int)                   // called once everything is ready
}

// A StartError is returned by RunForeground when the first rollout of a workload
// cannot complete or did not complete in time.
type StartError struct {
	Workload Status
	TimedOut bool
	After    time.Duration // the time that it had
}

// Error returns the reason.
func (e *StartError) Error() string {
	s := e.Workload
	switch {
	case e.TimedOut:
		message := fmt.Sprintf("%s/%s is not complete after %s: %d of %d instances are ready", s.Kind, s.Name, e.After, s.Ready, s.Replicas)
		for _, i := range s.Instances {
			if i.Phase != "Ready" && i.Message != "" {
				return message + "; " + i.Name + ": " + i.Message
			}
		}
		return message
	case s.Paused:
		return fmt.Sprintf("%s/%s is paused, and would never start", s.Kind, s.Name)
	}
	return fmt.Sprintf("%s/%s did not come about: %s", s.Kind, s.Name, s.Reason)
}

// Mend returns how the manifest can be changed so that it starts.
func (e *StartError) Mend() string {
	i := e.Drifted()
	switch {
	case e.TimedOut:
		return "--ready-timeout gives it longer"
	case e.Workload.Paused:
		return "remove spec.paused, or use adamant apply and adamant rollout resume"
	case i != nil:
		return "what it changed is in " + i.Evidence + "; seal it (adamant learn, adamant seal), or annotate it " + rollout.AnnotationOnDrift + ": report"
	}
	return "what its instances wrote is on stdout"
}

// Drifted returns an instance that drifted, nil if none did.
func (e *StartError) Drifted() *InstanceStatus {
	for i := range e.Workload.Instances {
		if e.Workload.Instances[i].Drift == rollout.Drifted {
			return &e.Workload.Instances[i]
		}
	}
	return nil
}

// A foreground is a manifest that runs until its process ends. If the process
// is killed, the next command that opens the data directory removes its pods.
type foreground struct {
	ForegroundOptions
	controller *Controller
	pods       []*pod.Pod // that run once
}

// RunForeground runs workloads and pods until ctx ends, all pods have completed
// or one failed, and then removes all of them. It returns nil if ctx ended after
// everything was ready.
func RunForeground(ctx context.Context, o ForegroundOptions) error {
	f := &foreground{ForegroundOptions: o}
	var err error
	f.controller, err = Open(ctx, Options{
		Engine: o.Engine, Ephemeral: true, Events: o.Events, Created: o.Created,
		Log: func(err error) { o.Say("%v", err) },
	})
	if err != nil {
		return err
	}
	if err := f.start(ctx); err != nil {
		return errors.Join(err, f.removeAll())
	}
	err = f.supervise(ctx)
	if ctx.Err() != nil {
		o.Say("removing %s", text.Count(f.count(), "pod"))
		err = nil
	}
	return errors.Join(err, f.removeAll())
}

func (f *foreground) hasWorkloads() bool { return len(f.Kept.Workloads()) > 0 }

// start starts everything and waits until it is ready.
func (f *foreground) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.Ready)
	defer cancel()
	if f.hasWorkloads() {
		out, err := f.controller.Apply(ctx, f.Kept, ApplyOptions{By: f.Author})
		if err != nil {
			return err
		}
		for _, n := range out.Notes {
			f.Say("note: %s", n)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		once := slices.Clone(f.Once)
		for i := range once {
			if f.hasWorkloads() { // whose Services they may use
				f.controller.services.join(&once[i])
			}
		}
		f.pods, err = startPods(ctx, f.Engine, once, f.Events, f.Created)
		return err
	})
	group.Go(func() error { return f.waitComplete(ctx) })
	return group.Wait()
}

// waitComplete waits until the first rollout of every workload is complete.
func (f *foreground) waitComplete(ctx context.Context) error {
	complete := map[Key]bool{}
	for {
		list, err := f.controller.List()
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.Paused || s.Phase.Ended() && s.Phase != rollout.Complete {
				return &StartError{Workload: s}
			}
			if s.Phase == rollout.Complete && !complete[s.Key] {
				complete[s.Key] = true
				f.Say("%s/%s is complete: %s%s", s.Kind, s.Name, text.Count(s.Ready, "instance"), addresses(s))
			}
		}
		if len(complete) == len(list) {
			return nil
		}
		if clock.Sleep(ctx, statusInterval) != nil {
			return f.startTimeout(ctx, list)
		}
	}
}

// startTimeout returns why not everything was ready when ctx ended.
func (f *foreground) startTimeout(ctx context.Context, list []Status) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	n := slices.IndexFunc(list, func(s Status) bool { return s.Phase != rollout.Complete })
	return &StartError{Workload: list[max(n, 0)], TimedOut: true, After: f.Ready}
}

func addresses(s Status) string {
	all := ""
	for _, svc := range s.Services {
		all += ", " + svc.Name
		if svc.Address != "" {
			all += " at " + svc.Address
		}
	}
	return all
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

// supervise supervises everything until all pods have completed or one failed,
// which workloads never do.
func (f *foreground) supervise(ctx context.Context) error {
	f.Running(f.count())
	group, inner := errgroup.WithContext(ctx)
	for _, p := range f.pods {
		if p.Phase == pod.Succeeded {
			continue
		}
		group.Go(func() error { return superviseUntilDone(inner, p, f.Events) })
	}
	if f.hasWorkloads() {
		group.Go(func() error { <-inner.Done(); return nil })
	}
	err := group.Wait()
	if ctx.Err() == nil {
		f.Ended()
	}
	return err
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

// removeAll removes everything. It has its own context: after an interrupt that of
// the caller has ended.
func (f *foreground) removeAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return removePods(f.Engine, f.pods) })
	return errors.Join(f.controller.RemoveAll(ctx), group.Wait())
}
