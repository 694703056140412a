package balancer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// checkEvery is the interval at which a process checks whether it is still needed.
const checkEvery = time.Second

// unusedLimit is how long a process waits for its first routes.
const unusedLimit = 30 * time.Second

// A process is the server of the package.
type process struct {
	path     string // of its socket
	program  string
	began    time.Time
	pool     *traffic.Pool
	names    *names.Server
	listener *net.UnixListener
	http     http.Server
	ctx      context.Context // ends with the process
	end      context.CancelFunc

	mu      sync.Mutex
	retired time.Time // when another process took over
	applied bool      // there are or were routes
}

// Run is the main function of a process that listens in dir. It takes over the
// listening sockets of the process at the socket from, unless that is empty, which
// retires. Run returns when the process is not needed any more or ctx ends.
func Run(ctx context.Context, dir, from string) error {
	program, err := programID("/proc/self/exe")
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	p := &process{path: filepath.Join(dir, strconv.Itoa(os.Getpid())+".sock"), program: program, began: time.Now(), applied: from != "", pool: traffic.NewPool(), names: names.New(names.Options{Shared: true}), ctx: ctx, end: end}
	defer p.pool.Close()
	defer p.names.Close()
	if from != "" {
		if err := p.takeOver(ctx, from); err != nil {
			return fmt.Errorf("take over from %s: %w", from, err)
		}
	}
	if err := p.listen(); err != nil {
		return err
	}
	p.http = http.Server{Handler: p.routes(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- p.http.Serve(p.listener) }()
	p.watch()
	// The socket goes first: a daemon that finds none starts another process.
	os.Remove(p.path)
	p.pool.Close()
	p.names.Close()
	// Then the requests under way are answered: p.ctx ends those that have no end.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if p.http.Shutdown(ctx) != nil {
		p.http.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listen creates the socket. Only its owner may connect.
func (p *process) listen() error {
	// A process that was killed may have had this PID.
	if err := os.Remove(p.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	old := syscall.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.path, Net: "unix"})
	syscall.Umask(old)
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false) // by then the path may be that of another
	p.listener = l
	return nil
}

// watch ends the process once it is not needed.
func (p *process) watch() {
	var own os.FileInfo
	for p.ctx.Err() == nil {
		info, err := os.Lstat(p.path)
		if own == nil {
			own = info
		}
		if err != nil || !os.SameFile(own, info) || p.isDone() {
			p.end()
			return
		}
		clock.Sleep(p.ctx, checkEvery)
	}
}

// isDone reports whether a retired process has no client left, or the daemon that
// started this one was killed before it sent routes.
func (p *process) isDone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A client may have been accepted just before, and not be counted yet.
	return !p.retired.IsZero() && time.Since(p.retired) > checkEvery && p.pool.Clients() == 0 || !p.applied && time.Since(p.began) > unusedLimit
}

func (p *process) routes() http.Handler {
	mux := http.NewServeMux()
	handle(mux, "GET /v1/process", func(context.Context, struct{}) (Process, error) { return p.describe(), nil })
	handle(mux, "POST /v1/apply", p.apply)
	handle(mux, "POST /v1/drain", p.drain)
	handle(mux, "GET /v1/stats", func(ctx context.Context, _ struct{}) (traffic.Counters, error) { return p.pool.Stats(ctx), nil })
	handle(mux, "GET /v1/backends", func(context.Context, struct{}) (backends, error) { return p.backends(), nil })
	handle(mux, "POST /v1/retire", p.retire)
	// The answer to this request is the end of the process.
	mux.HandleFunc("GET /v1/life", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-p.ctx.Done():
		}
	})
	mux.HandleFunc("POST /v1/sockets", p.sockets)
	return mux
}

// handle registers a handler of documents.
func handle[Q, A any](mux *http.ServeMux, pattern string, answer func(context.Context, Q) (A, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if r.Method == http.MethodPost {
			if err := decode(http.MaxBytesReader(w, r.Body, maxMessage), &q); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		a, err := answer(r.Context(), q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a) // the client is gone if this fails
	})
}

func (p *process) describe() Process {
	d := Process{Version: version, PID: os.Getpid(), Program: p.program, Clients: p.pool.Clients(), Listeners: []Address{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Retired = !p.retired.IsZero(); d.Retired {
		return d
	}
	for _, l := range p.pool.Listeners() {
		if l.Address == "" {
			continue // only rules lead to it
		}
		d.Listeners = append(d.Listeners, Address{l.Name, l.Address})
	}
	if z := p.names.Zone(); z != nil {
		d.Listeners = append(d.Listeners, Address{NamesListener, net.JoinHostPort(z.Address.String(), "53")})
	}
	return d
}

// backends returns what the routes lead to.
func (p *process) backends() backends {
	hosts := backends{}
	for _, l := range p.pool.Listeners() {
		for _, b := range l.Route.Backends {
			if host, _, err := net.SplitHostPort(b.Address); err == nil {
				hosts[b.ID] = host
			}
		}
	}
	return hosts
}

// apply is traffic.Pool.Apply and names.Server.Set. A process without listeners and
// names ends.
func (p *process) apply(_ context.Context, q applyRequest) (applyResult, error) {
	p.mu.Lock()
	p.applied = true
	p.mu.Unlock()
	var a applyResult
	// Not with the context of the request: listeners outlive it.
	for name, err := range apply(context.Background(), p.pool, p.names, q) {
		if a.Failed == nil {
			a.Failed = map[string]listenError{}
		}
		a.Failed[name] = newListenError(err)
	}
	if q.isEmpty() {
		os.Remove(p.path) // now, so that the daemon starts another one if it has routes again
		p.end()
	}
	return a, nil
}

// drain is traffic.Pool.Ended or Drain. It does not end with the request: the daemon
// may be killed, and the connections have the rest of their time.
func (p *process) drain(_ context.Context, q drainRequest) (drainResult, error) {
	if q.Ended {
		p.pool.Ended(context.Background(), q.ID)
		return drainResult{}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(max(q.Within, 0))*time.Millisecond)
	defer cancel()
	if err := p.pool.Drain(ctx, q.ID); err != nil {
		return drainResult{err.Error()}, nil
	}
	return drainResult{}, nil
}

// retire stops accepting clients, which another process does from now on.
func (p *process) retire(context.Context, struct{}) (struct{}, error) {
	p.mu.Lock()
	p.retired = time.Now()
	p.pool.Retire()
	p.mu.Unlock()   // Close waits for questions under way
	p.names.Close() // the next process listens at the same address already
	return struct{}{}, nil
}
