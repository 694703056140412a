package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
)

// A supervisedError is returned if a stop would not last.
type supervisedError struct{ unit string }

func (s supervisedError) Error() string {
	return fmt.Sprintf("systemd would start the daemon again: systemctl stop %s", s.unit)
}

// Stopped is what goes on without the daemon.
type Stopped struct {
	Instances int `json:"instances"`
	Services  int `json:"services"` // ports that are listened on
}

// String returns what goes on, and what does not.
func (s Stopped) String() string {
	return fmt.Sprintf("stopped; %s and %s go on. Until the next adamant serve nothing is probed, restarted, replaced or rolled out",
		text.Count(s.Instances, "instance"), text.Count(s.Services, "port of a Service"))
}

// stop ends the daemon as SIGTERM does.
func (s *Server) stop(*http.Request, struct{}) (any, error) {
	if unit := supervisedBy(); unit != "" {
		return nil, supervisedError{unit}
	}
	list, err := s.controller.List()
	if err != nil {
		return nil, err
	}
	var left Stopped
	for _, st := range list {
		left.Instances += len(st.Instances)
	}
	for _, t := range s.controller.Traffic() {
		if t.Open {
			left.Services++
		}
	}
	s.stopOnce.Do(func() { close(s.stopped) })
	return left, nil
}

// stopLimit is how long Stop waits.
const stopLimit = time.Minute

// Stop ends the daemon and waits until its process has ended.
func (c *Client) Stop(ctx context.Context) (left Stopped, err error) {
	// Before the request: the number of the process may be that of another after it.
	pidfd, err := balancer.OpenPeer(ctx, c.socket)
	if err != nil {
		return left, c.describe(err)
	}
	defer unix.Close(pidfd)
	if err := c.call(ctx, http.MethodPost, "/v1/stop", struct{}{}, &left); err != nil {
		return left, err
	}
	for until := time.Now().Add(stopLimit); time.Now().Before(until) && ctx.Err() == nil; {
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 50); err == nil && n > 0 {
			return left, nil
		}
	}
	return left, errors.Join(ctx.Err(), errors.New("the daemon has not ended yet"))
}
