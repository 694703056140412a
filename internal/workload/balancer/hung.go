package balancer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
)

// hungAfter is the default of Options.HungAfter.
const hungAfter = 15 * time.Second

// hungTries is how many requests in a row a hung process leaves unanswered.
const hungTries = 3

// watchAnswers kills a process that leaves requests unanswered, as one that was stopped
// or that deadlocked, until ctx ends. It cannot hand over its connections, which are lost;
// those that wait to be accepted are refused. Then ended starts another process.
func (r *Remote) watchAnswers(ctx context.Context, p *remoteProcess, pidfd int) {
	for failures := 0; ; {
		if clock.Sleep(ctx, r.opts.HungAfter/hungTries) != nil {
			return
		}
		if p.answers(ctx, r.opts.HungAfter/hungTries) || ctx.Err() != nil {
			failures = 0
			continue
		}
		if failures++; failures == hungTries {
			r.opts.Log(fmt.Errorf("the balancer (process %d) has not answered for %s: killing it; its connections are lost", p.PID, r.opts.HungAfter))
			unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) // an error: it has ended
			failures = 0
		}
	}
}

// answers reports whether a process answers in time.
func (p *peer) answers(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return p.call(ctx, http.MethodGet, "/v1/process", nil, &Process{}) == nil
}

// connectHung is connect for a process that did not answer. One that goes on not to is
// killed: it has the addresses that another one needs.
func (r *Remote) connectHung(ctx context.Context, path string) error {
	pidfd, err := OpenPeer(ctx, path)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	p := dial(path)
	defer p.close()
	for range hungTries {
		if p.answers(ctx, r.opts.HungAfter/hungTries) {
			return r.connect(ctx, path)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.opts.Log(fmt.Errorf("the balancer at %s does not answer: killing it; its connections are lost", path))
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for until := time.Now().Add(endLimit); time.Now().Before(until); {
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 50); err == nil && n > 0 {
			return unix.ECONNREFUSED // as of one that was killed before
		}
	}
	return errors.New("it still runs after SIGKILL")
}

// Backends returns the hosts that traffic goes to now, by the ID of the backend. A process
// that does not tell has none.
func (r *Remote) Backends(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	all := map[string]string{}
	for _, p := range r.all() {
		var now backends
		if p.Retired || p.call(ctx, http.MethodGet, "/v1/backends", nil, &now) != nil {
			continue
		}
		for id, host := range now {
			all[id] = host
		}
	}
	return all
}
