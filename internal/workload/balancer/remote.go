package balancer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

const (
	callLimit  = 5 * time.Second  // for an answer
	startLimit = 15 * time.Second // for a process to listen
	startAgain = time.Second      // after a process that could not be started or not listen
	listenMost = 10               // attempts to listen after a process was started for one that ended
)

// Options configures a Remote. All fields but HungAfter must be set.
type Options struct {
	Dir     string      // for sockets and the log
	Command []string    // the program that calls Run and its arguments; "--from SOCKET" is added to take over
	Log     func(error) // gets errors after which the Remote tries again
	// HungAfter is how long a process may leave requests unanswered before it is killed and
	// replaced; 15 s if 0.
	HungAfter time.Duration
}

// A Remote is the daemon's side: it starts, finds, feeds and replaces processes. It
// implements local.Balancer. There must be one Remote for a directory at a time. It
// is safe for concurrent use.
type Remote struct {
	opts    Options
	program string
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	applying sync.Mutex // one change of processes and routes at a time
	wanted   applyRequest

	mu    sync.Mutex
	peers map[string]*remoteProcess // by socket
	sum   traffic.Counters          // since Open, also of processes that have ended
}

// A remoteProcess is a process as a Remote knows it.
type remoteProcess struct {
	*peer
	Process

	counting sync.Mutex
	last     traffic.Counters // its counters when they were last read
}

// Open finds the processes that an earlier daemon left. It starts none: Apply does,
// once there is something to listen to.
func Open(ctx context.Context, o Options) (*Remote, error) {
	program, err := programID(o.Command[0])
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	o.HungAfter = cmp.Or(o.HungAfter, hungAfter)
	r := &Remote{opts: o, program: program, peers: map[string]*remoteProcess{}, sum: traffic.Counters{}}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r, r.find(ctx)
}

// find connects to the processes that have a socket in the directory.
func (r *Remote) find(ctx context.Context) error {
	paths, err := sockets(r.opts.Dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if r.knows(path) {
			continue
		}
		err := r.connect(ctx, path)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = r.connectHung(ctx, path)
		}
		if isGone(err) {
			os.Remove(path) // of a process that was killed
		} else if err != nil {
			r.opts.Log(fmt.Errorf("connect to the balancer at %s: %w", path, err))
		}
	}
	return nil
}

func (r *Remote) knows(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peers[path] != nil
}

// sockets returns the sockets in a directory, the oldest first.
func sockets(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.sock"))
	slices.SortFunc(paths, func(x, y string) int {
		a, err1 := os.Lstat(x)
		b, err2 := os.Lstat(y)
		if err1 != nil || err2 != nil {
			return strings.Compare(x, y)
		}
		return a.ModTime().Compare(b.ModTime())
	})
	return paths, err
}

// isGone reports whether nothing listens on a socket.
func isGone(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist)
}

// connect adds the process at a socket and watches it.
func (r *Remote) connect(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	p := &remoteProcess{peer: dial(path)}
	if err := p.call(ctx, http.MethodGet, "/v1/process", nil, &p.Process); err != nil {
		return err
	}
	if err := p.call(ctx, http.MethodGet, "/v1/stats", nil, &p.last); err != nil {
		return err
	}
	pidfd, err := OpenPeer(ctx, path)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.peers[path] = p
	r.mu.Unlock()
	r.wg.Go(func() {
		defer unix.Close(pidfd)
		hung, end := context.WithCancel(r.ctx)
		var wg sync.WaitGroup
		wg.Go(func() { r.watchAnswers(hung, p, pidfd) })
		p.waitEnd(r.ctx)
		end()
		wg.Wait()
		if r.ctx.Err() == nil {
			r.ended(p)
		}
		p.close()
	})
	return nil
}

// ended forgets a process, and starts another if it was the one that accepted
// clients.
func (r *Remote) ended(p *remoteProcess) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	if r.peers[p.path] == p {
		delete(r.peers, p.path)
	}
	r.mu.Unlock()
	var failed map[string]error // an address may be in use until the kernel has ended p
	for n := 1; r.ctx.Err() == nil && !r.wanted.isEmpty() && (r.primary() == nil || len(failed) > 0); n++ {
		if r.primary() == nil {
			n = 1
			r.opts.Log(fmt.Errorf("the balancer (process %d) ended; starting another", p.PID))
		}
		var err error
		failed, err = r.apply(r.ctx)
		if err == nil && len(failed) == 0 {
			return
		}
		if err != nil && r.ctx.Err() == nil {
			r.opts.Log(err)
		}
		if n == listenMost {
			for name, err := range failed {
				r.opts.Log(fmt.Errorf("listen for %s again: %w", name, err))
			}
			return
		}
		// Apply must not wait for long.
		r.applying.Unlock()
		clock.Sleep(r.ctx, startAgain)
		r.applying.Lock()
	}
}

// primary returns the process that accepts clients, or nil.
func (r *Remote) primary() *remoteProcess {
	for _, p := range r.all() {
		if !p.Retired {
			return p
		}
	}
	return nil
}

// onePrimary is primary. If there are several, because a daemon was killed while it
// started one, it retires all but the one with the most listeners.
func (r *Remote) onePrimary(ctx context.Context) (*remoteProcess, error) {
	primaries := slices.DeleteFunc(r.all(), func(p *remoteProcess) bool { return p.Retired })
	if len(primaries) < 2 {
		return r.primary(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	for _, p := range primaries {
		if err := p.call(ctx, http.MethodGet, "/v1/process", nil, &p.Process); err != nil {
			return nil, fmt.Errorf("ask the balancer (process %d): %w", p.PID, err)
		}
	}
	best := slices.MaxFunc(primaries, func(x, y *remoteProcess) int { return cmp.Compare(len(x.Listeners), len(y.Listeners)) })
	for _, p := range primaries {
		if p == best || p.Retired {
			continue
		}
		if err := p.call(ctx, http.MethodPost, "/v1/retire", struct{}{}, nil); err != nil {
			return nil, fmt.Errorf("retire the balancer (process %d): %w", p.PID, err)
		}
		p.Retired = true
	}
	return best, nil
}

// all returns the processes, in no order.
func (r *Remote) all() []*remoteProcess {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*remoteProcess
	for _, p := range r.peers {
		list = append(list, p)
	}
	return list
}

// Apply implements local.Balancer. It starts a process if none runs, and replaces a
// process of an older program.
func (r *Remote) Apply(ctx context.Context, list []traffic.Listener, zone *names.Zone) map[string]error {
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.ctx.Err() != nil {
		return nil
	}
	r.wanted = applyRequest{list, zone}
	failed, err := r.apply(ctx)
	if err != nil && ctx.Err() == nil {
		failed, err = r.apply(ctx) // the process was killed just now
	}
	if err != nil {
		if ctx.Err() == nil {
			r.opts.Log(err)
		}
		failed = map[string]error{}
		for _, l := range list {
			failed[l.Name] = err
		}
		if zone != nil {
			failed[NamesListener] = err
		}
	}
	return failed
}

// apply sends the listeners and routes to all processes. The caller holds applying.
func (r *Remote) apply(ctx context.Context) (map[string]error, error) {
	if err := r.ensure(ctx); err != nil {
		return nil, err
	}
	failed := map[string]error{}
	var errs []error
	for _, p := range r.all() {
		var a applyResult
		known, left := r.wanted.understood(p.Version)
		err := p.callWithin(ctx, "/v1/apply", known, &a)
		switch {
		case err == nil && !p.Retired:
			for name, e := range left {
				failed[name] = e
			}
			for name, e := range a.Failed {
				failed[name] = e
			}
		case isGone(err): // ended has not noticed yet
			r.mu.Lock()
			delete(r.peers, p.path)
			r.mu.Unlock()
			fallthrough
		case err != nil && !p.Retired:
			errs = append(errs, fmt.Errorf("pass routes to the balancer (process %d): %w", p.PID, err))
		}
		if err == nil && r.wanted.isEmpty() && !p.Retired { // it ends
			r.mu.Lock()
			delete(r.peers, p.path)
			r.mu.Unlock()
		}
	}
	return failed, errors.Join(errs...)
}

// ensure makes sure that one process of this program accepts clients.
func (r *Remote) ensure(ctx context.Context) error {
	if err := r.find(ctx); err != nil {
		return err
	}
	p, err := r.onePrimary(ctx)
	switch {
	case err != nil:
		return err
	case r.wanted.isEmpty():
		return nil
	case p == nil:
		return r.start(ctx, "")
	case p.Program == r.program: // and so of the same version, unless it could not be replaced
		return nil
	}
	if err := r.start(ctx, p.path); err != nil {
		// The old one goes on.
		r.opts.Log(fmt.Errorf("replace the balancer (process %d): %w", p.PID, err))
		r.program = p.Program
		return nil
	}
	p.Retired = true
	return nil
}

// start starts a process and connects to it.
func (r *Remote) start(ctx context.Context, from string) error {
	log, err := os.OpenFile(filepath.Join(r.opts.Dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := slices.Concat(r.opts.Command[1:], []string{"--dir", r.opts.Dir})
	if from != "" {
		args = append(args, "--from", from)
	}
	cmd := exec.Command(r.opts.Command[0], args...)
	cmd.Dir, cmd.Env = "/", environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the balancer: %w", err)
	}
	exited := make(chan error, 1)
	// The goroutine ends with the process or with this one: only the parent can
	// reap it.
	go func() { exited <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	path := filepath.Join(r.opts.Dir, fmt.Sprintf("%d.sock", cmd.Process.Pid))
	for {
		err := r.connect(ctx, path)
		if err == nil {
			return nil
		}
		select {
		case why := <-exited:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("start the balancer: it ended (%v): %s", why, strings.TrimSpace(string(text[:min(len(text), 1<<10)])))
		case <-ctx.Done(): // find finds it later, or it ends by itself
			return fmt.Errorf("start the balancer: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// environment omits what belongs to the systemd service of this process, and
// TMPDIR, which the caller may remove.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains([]string{
			"TMPDIR", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID", "JOURNAL_STREAM",
		}, name)
	})
}

// callWithin is call with callLimit.
func (p *peer) callWithin(ctx context.Context, path string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return p.call(ctx, http.MethodPost, path, question, answer)
}

// Ended implements local.Balancer.
func (r *Remote) Ended(ctx context.Context, id string) {
	for _, p := range r.all() {
		p.callWithin(ctx, "/v1/drain", drainRequest{ID: id, Ended: true}, nil) // Drain does without
	}
}

// Drain implements local.Balancer.
func (r *Remote) Drain(ctx context.Context, id string) error {
	q := drainRequest{ID: id}
	deadline, limited := ctx.Deadline()
	if ctx.Err() == nil {
		q.Within = time.Hour.Milliseconds()
		if limited {
			q.Within = time.Until(deadline).Milliseconds()
		}
	}
	all := r.all()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() {
			// The process keeps to the time itself, also if this one is killed.
			ctx, cancel := context.WithTimeout(r.ctx, time.Duration(q.Within)*time.Millisecond+callLimit)
			defer cancel()
			var a drainResult
			if err := p.call(ctx, http.MethodPost, "/v1/drain", q, &a); err != nil {
				errs[i] = err
			} else if a.Error != "" {
				errs[i] = errors.New(a.Error)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Stats implements local.Balancer. The counters are those since Open. They never
// decrease: those of a process that ended or does not answer are as they were last read.
func (r *Remote) Stats(ctx context.Context) traffic.Counters {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	active := traffic.Counters{}
	for _, p := range r.all() {
		r.readStats(ctx, p, active)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := traffic.Counters{}
	for name, groups := range r.sum {
		all[name] = map[string]traffic.Stats{}
		for group, s := range groups {
			s.Active = active[name][group].Active
			all[name][group] = s
		}
	}
	return all
}

// readStats adds what a process counted since it was last asked to the sum, and what is
// open to active.
func (r *Remote) readStats(ctx context.Context, p *remoteProcess, active traffic.Counters) {
	p.counting.Lock() // so that answers are added in their order
	defer p.counting.Unlock()
	var now traffic.Counters
	if p.call(ctx, http.MethodGet, "/v1/stats", nil, &now) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, groups := range now {
		for group, s := range groups {
			since := s.Since(p.last[name][group])
			active.Add(name, group, traffic.Stats{Active: since.Active})
			since.Active = 0
			r.sum.Add(name, group, since)
		}
	}
	p.last = now
}

// Close ends the use of the processes, which go on.
func (r *Remote) Close() error {
	r.cancel()
	r.wg.Wait()
	return nil
}
