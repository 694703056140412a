package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// endLimit is the time that a process has to end.
const endLimit = 5 * time.Second

// List returns the processes of a directory.
func List(ctx context.Context, dir string) ([]Process, error) {
	paths, err := sockets(dir)
	if err != nil {
		return nil, err
	}
	var list []Process
	for _, path := range paths {
		p := dial(path)
		defer p.close()
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		var one Process
		if err := p.call(ctx, http.MethodGet, "/v1/process", nil, &one); isGone(err) {
			continue
		} else if err != nil {
			// It removes its socket first when it ends.
			if _, gone := os.Lstat(path); errors.Is(gone, os.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("ask the balancer at %s: %w", path, err)
		}
		list = append(list, one)
	}
	return list, nil
}

// End ends all processes of a directory with their connections, and removes the
// directory. A process that does not end when it is asked to is killed.
func End(ctx context.Context, dir string) error {
	paths, err := sockets(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if err := endOne(ctx, path); err != nil {
			errs = append(errs, fmt.Errorf("end the balancer at %s: %w", path, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func endOne(ctx context.Context, path string) error {
	fd, err := OpenPeer(ctx, path)
	if isGone(err) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return err
		}
		for until := time.Now().Add(endLimit); time.Now().Before(until); {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 50)
			if err == nil && n > 0 {
				return nil
			}
		}
	}
	return errors.New("it still runs after SIGKILL")
}

// OpenPeer opens the process that listens on a socket, as the kernel knows it. The caller
// must close the descriptor, which is that of pidfd_open(2).
func OpenPeer(ctx context.Context, path string) (int, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return -1, err
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var opened error
	err = raw.Control(func(s uintptr) {
		var peer *unix.Ucred
		if peer, opened = unix.GetsockoptUcred(int(s), unix.SOL_SOCKET, unix.SO_PEERCRED); opened == nil {
			fd, opened = unix.PidfdOpen(int(peer.Pid), 0)
		}
	})
	return fd, errors.Join(err, opened)
}
