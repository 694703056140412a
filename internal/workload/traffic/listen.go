package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen opens a listener that shares its address with no other socket.
func listen(ctx context.Context, address string, config net.ListenConfig) (*net.TCPListener, error) {
	l, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another program listens there already: %w", address, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l.(*net.TCPListener), nil
}

// ListenBeside opens a listener beside those of a Pool at other addresses. The kernel
// refuses 10.0.0.1:80 while another socket has 0.0.0.0:80, and the other way round,
// unless both have SO_REUSEPORT (socket(7)). A Pool sets that once a listener is open:
// if it were set from the beginning, the address of another program could be taken
// unnoticed.
func ListenBeside(ctx context.Context, address string, others []string) (*net.TCPListener, error) {
	l, err := listen(ctx, address, net.ListenConfig{})
	if !errors.Is(err, syscall.EADDRINUSE) || slices.Contains(others, address) || !slices.ContainsFunc(others, func(o string) bool { return portOf(o) == portOf(address) }) {
		return l, err
	}
	return listen(ctx, address, net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return setShared(c) }})
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return port
}

// share lets ListenBeside open other listeners with the same port.
func share(l *net.TCPListener) {
	if raw, err := l.SyscallConn(); err == nil {
		setShared(raw) // ListenBeside reports an address in use if this fails
	}
}

func setShared(c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, failed)
}
