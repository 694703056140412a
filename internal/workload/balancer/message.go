package balancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// version is that of the messages. A process of another version is replaced.
//
//	1  listeners and routes
//	2  TLS, rules, and listeners without an address
const version = 2

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

// applyRequest replaces all listeners and routes.
type applyRequest struct {
	Listeners []traffic.Listener `json:"listeners"`
}

// understood returns the listeners that a process of a version of the messages can open as
// they are meant, and an error for each of the others: it would serve plain text in
// place of TLS.
func understood(version int, list []traffic.Listener) ([]traffic.Listener, map[string]listenError) {
	if version >= 2 {
		return list, nil
	}
	var known []traffic.Listener
	failed := map[string]listenError{}
	for _, l := range list {
		if l.TLS == nil && len(l.Rules) == 0 && l.Address != "" {
			known = append(known, l)
		} else {
			failed[l.Name] = listenError{Message: "the balancer is of an older version, and could not be replaced"}
		}
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
