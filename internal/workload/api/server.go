package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// maxBody is the size limit of a request, in bytes. Manifests have a lower one.
const maxBody = 64 << 20

// noLog discards what net/http logs about clients that break the protocol.
var noLog = log.New(io.Discard, "", 0)

// A Server answers the requests for a Controller.
type Server struct {
	controller *local.Controller
	listener   net.Listener
	metrics    http.Handler
	readers    atomic.Int64 // group that may read, or -1
	http       http.Server
	ending     context.Context // ends with Close
	end        context.CancelFunc
	stopped    chan struct{} // closed by a request to stop
	stopOnce   sync.Once
}

// Listen creates the socket. It replaces one that a killed daemon left: the
// controller holds the lock of its store, so no other daemon can be listening there.
func Listen(path string, c *local.Controller, metrics http.Handler) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	old := syscall.Umask(0o177) // because a chmod after Listen would leave a moment in which anybody can connect
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	s := &Server{controller: c, listener: &listener{UnixListener: l.(*net.UnixListener)}, metrics: metrics, stopped: make(chan struct{})}
	s.readers.Store(-1)
	s.ending, s.end = context.WithCancel(context.Background())
	s.http = http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: noLog,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, c.(*conn).caller)
		},
	}
	return s, nil
}

// Serve answers requests until Close is called.
func (s *Server) Serve() error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wg.Go(func() { releaseMemory(ctx) })
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close waits up to 5 s for requests that are being answered and removes the
// socket.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.end()
	return s.http.Shutdown(ctx)
}

func (s *Server) routes() http.Handler {
	all, read := http.NewServeMux(), http.NewServeMux()
	c := s.controller
	handle(all, "GET /v1/workloads", func(*http.Request, struct{}) (any, error) { return c.List() })
	handle(read, "GET /v1/workloads", func(*http.Request, struct{}) (any, error) {
		list, err := c.List()
		for i := range list {
			list[i] = list[i].Public()
		}
		return list, err
	})
	handle(all, "GET /v1/workloads/{namespace}/{kind}/{name}", func(r *http.Request, _ struct{}) (any, error) { return c.Status(key(r)) })
	handle(read, "GET /v1/workloads/{namespace}/{kind}/{name}", func(r *http.Request, _ struct{}) (any, error) {
		status, err := c.Status(key(r))
		return status.Public(), err
	})
	handle(all, "GET /v1/workloads/{namespace}/{kind}/{name}/history", func(r *http.Request, _ struct{}) (any, error) { return c.History(key(r)) })
	handle(read, "GET /v1/workloads/{namespace}/{kind}/{name}/history", func(r *http.Request, _ struct{}) (any, error) {
		h, err := c.History(key(r))
		return h.Public(), err
	})
	for _, mux := range []*http.ServeMux{all, read} {
		handle(mux, "GET /v1/deleted", func(*http.Request, struct{}) (any, error) { return c.Deleted() })
		handle(mux, "GET /v1/events", s.events)
		handle(mux, "GET /v1/drift", s.drift)
		mux.Handle("GET /metrics", s.metrics)
	}
	handle(all, "POST /v1/stop", s.stop)
	handle(all, "POST /v1/apply", s.apply)
	handle(all, "POST /v1/workloads/{namespace}/{kind}/{name}/{verb}", s.command)
	handle(all, "DELETE /v1/objects/{namespace}/{kind}/{name}", s.delete)
	handle(all, "GET /v1/claims", func(*http.Request, struct{}) (any, error) { return c.Claims() })
	handle(all, "DELETE /v1/claims/{namespace}/{name}", func(r *http.Request, _ struct{}) (any, error) {
		return struct{}{}, c.RemoveClaim(r.PathValue("namespace"), r.PathValue("name"))
	})
	return s.authorize(all, read)
}

// handle registers a handler for one kind of request, whose response is JSON. A
// panic becomes an error response.
func handle[T any](mux *http.ServeMux, pattern string, answer func(*http.Request, T) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				reply(w, nil, fmt.Errorf("internal error: %v", p))
			}
		}()
		var body T
		if r.Method == http.MethodPost {
			d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
			// A field of a newer client must not be ignored silently.
			d.DisallowUnknownFields()
			if err := d.Decode(&body); err != nil {
				reply(w, nil, badRequest{fmt.Errorf("read request: %w", err)})
				return
			}
		}
		v, err := answer(r, body)
		reply(w, v, err)
	})
}

type badRequest struct{ error }

func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e := describe(err)
		w.WriteHeader(e.Status)
		v = e
	}
	json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

// describe converts an error to a response.
func describe(err error) *Error {
	e := &Error{Status: http.StatusInternalServerError, Message: err.Error()}
	var fields manifest.Errors
	var bad badRequest
	var no forbidden
	var supervised supervisedError
	switch {
	case errors.As(err, &no):
		e.Status = http.StatusForbidden
	case errors.Is(err, local.ErrNotFound), errors.Is(err, pod.ErrNoClaim), errors.Is(err, pod.ErrNotFound):
		e.Status = http.StatusNotFound
	case errors.Is(err, local.ErrDeleting), errors.Is(err, local.ErrNoPreviousGeneration), errors.Is(err, pod.ErrClaimUsed):
		e.Status = http.StatusConflict
	case errors.As(err, &fields), errors.As(err, &bad):
		e.Status = http.StatusBadRequest
	case errors.As(err, &supervised):
		e.Status = http.StatusConflict
	}
	return e
}

func key(r *http.Request) local.Key {
	return local.Key{Namespace: r.PathValue("namespace"), Kind: r.PathValue("kind"), Name: r.PathValue("name")}
}

// An ApplyRequest is a manifest to apply.
type ApplyRequest struct {
	ManifestFile
	More []ManifestFile `json:"more,omitempty"` // further files of the manifest
	Dry  bool           `json:"dry,omitempty"`
	// Retry tries generations again that were rolled back or failed.
	Retry bool `json:"retry,omitempty"`
	// Namespace is that of objects without one; "default" if it is empty.
	Namespace string `json:"namespace,omitempty"`
}

// A ManifestFile is one file of a manifest.
type ManifestFile struct {
	File    string `json:"file"` // name for messages
	Content []byte `json:"content"`
}

// NewApplyRequest returns a request to apply a manifest.
func NewApplyRequest(f manifest.File, dry bool) ApplyRequest {
	r := ApplyRequest{Dry: dry}
	for i, part := range f.Parts() {
		one := ManifestFile{part.Name, part.Content()}
		if i == 0 {
			r.ManifestFile = one
			continue
		}
		r.More = append(r.More, one)
	}
	return r
}

// parse returns the manifest of a request.
func (a ApplyRequest) parse() (manifest.File, error) {
	var files []manifest.File
	for _, one := range append([]ManifestFile{a.ManifestFile}, a.More...) {
		f, err := manifest.Parse(one.File, one.Content)
		if err != nil {
			return f, err
		}
		files = append(files, f)
	}
	f, err := manifest.Join(files...)
	if err != nil {
		return f, err
	}
	return f.InNamespace(a.Namespace)
}

func (s *Server) apply(r *http.Request, a ApplyRequest) (any, error) {
	f, err := a.parse()
	if err != nil {
		return nil, badRequest{err}
	}
	return s.controller.Apply(r.Context(), f, local.ApplyOptions{By: author(r), Dry: a.Dry, Retry: a.Retry})
}

// A CommandRequest holds the argument of a verb.
type CommandRequest struct {
	Replicas int    `json:"replicas,omitempty"` // of scale
	To       int    `json:"to,omitempty"`       // of undo: a generation, 0 for the last that completed
	Job      string `json:"job,omitempty"`      // that run made
}

func (s *Server) command(r *http.Request, c CommandRequest) (any, error) {
	switch verb := r.PathValue("verb"); verb {
	case "scale":
		return struct{}{}, s.controller.Scale(key(r), c.Replicas, author(r))
	case "pause":
		return struct{}{}, s.controller.Pause(key(r), author(r))
	case "resume":
		return struct{}{}, s.controller.Resume(key(r), author(r))
	case "undo":
		to, err := s.controller.Undo(key(r), c.To, author(r))
		return CommandRequest{To: to}, err
	case "run":
		name, err := s.controller.RunNow(key(r), author(r))
		return CommandRequest{Job: name}, err
	default:
		return nil, badRequest{fmt.Errorf("unknown verb %q", verb)}
	}
}

// drift compares instances with their images, all of a namespace without a name, and
// answers without any content of files.
func (s *Server) drift(r *http.Request, _ struct{}) (any, error) {
	q := r.URL.Query()
	results, err := s.controller.Drift(r.Context(), q["instance"], q.Get("namespace"), q.Get("container"))
	if err != nil {
		return nil, err
	}
	reports := []report.DriftReport{}
	for _, one := range results {
		reports = append(reports, report.NewDriftReport(one.Name, one.Report).Public())
	}
	return reports, nil
}

func (s *Server) delete(r *http.Request, _ struct{}) (any, error) {
	k := key(r)
	if !hasInstances(k) {
		return struct{}{}, s.controller.DeleteObject(k.Kind, k.Namespace, k.Name)
	}
	return struct{}{}, s.controller.Delete(k, author(r))
}
