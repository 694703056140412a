package balancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// version is that of the messages. A process of another version is replaced.
//
//	1  listeners and routes
//	2  TLS, rules, and listeners without an address
//	3  names, and listeners for the clients of some networks
const version = 3

// maxMessage bounds a message, in bytes.
const maxMessage = 16 << 20

// A Process is a running process of this package, as it describes itself.
type Process struct {
	Version   int       `json:"version"`
	PID       int       `json:"pid"`
	Program   string    `json:"program"` // see programID
	Retired   bool      `json:"retired,omitempty"`
	Clients   int       `json:"clients"`
	Listeners []Address `json:"listeners"`
}

// An Address is one that a Process listens on.
type Address struct {
	Name    string `json:"name"` // of the Service and its port
	Address string `json:"address"`
}

// backends are the hosts that routes lead to, by the ID of the backend.
type backends map[string]string

// applyRequest replaces all listeners, routes and names.
type applyRequest struct {
	Listeners []traffic.Listener `json:"listeners"`
	Names     *names.Zone        `json:"names,omitempty"`
}

// isEmpty reports whether nothing is wanted from a process.
func (q applyRequest) isEmpty() bool { return len(q.Listeners) == 0 && q.Names == nil }

// understood returns the part of a request that a process of a version of the messages
// can serve as it is meant, and an error for each other listener: it would serve plain
// text in place of TLS, or everybody in place of the pods.
func (q applyRequest) understood(version int) (applyRequest, map[string]listenError) {
	if version >= 3 {
		return q, nil
	}
	var known applyRequest
	failed := map[string]listenError{}
	fail := func(name string) {
		failed[name] = listenError{Message: "the balancer is of an older version, and could not be replaced"}
	}
	for _, l := range q.Listeners {
		if l.From != nil || version < 2 && (l.TLS != nil || len(l.Rules) > 0 || l.Address == "") {
			fail(l.Name)
		} else {
			known.Listeners = append(known.Listeners, l)
		}
	}
	if q.Names != nil {
		fail(NamesListener)
	}
	return known, failed
}

// applyResult has the listeners that are not open.
type applyResult struct {
	Failed map[string]listenError `json:"failed,omitempty"`
}

// A listenError is why a listener is not open.
type listenError struct {
	Message string `json:"message"`
	Taken   bool   `json:"taken,omitempty"` // another program has the address
}

func newListenError(err error) listenError {
	return listenError{err.Error(), errors.Is(err, syscall.EADDRINUSE)}
}

func (e listenError) Error() string { return e.Message }

func (e listenError) Is(target error) bool { return e.Taken && target == syscall.EADDRINUSE }

// drainRequest asks for the end of the connections to a backend that left the
// routes.
type drainRequest struct {
	ID     string `json:"id"`
	Within int64  `json:"within"`          // milliseconds, after which the rest is closed
	Ended  bool   `json:"ended,omitempty"` // its processes have ended; the answer comes at once
}

// drainResult is the answer to a drainRequest.
type drainResult struct {
	Error string `json:"error,omitempty"`
}

// decode reads one document from r.
func decode(r io.Reader, into any) error {
	d := json.NewDecoder(io.LimitReader(r, maxMessage))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	return nil
}

// programID identifies the program file at path: after an update it is another.
func programID(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d:%d:%d", st.Dev, st.Ino, info.Size(), info.ModTime().UnixNano()), nil
}
