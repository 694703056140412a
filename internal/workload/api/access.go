package api

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/workload/local"
)

// A caller is the process at the other end of a connection when it connected, as reported
// by the kernel (SO_PEERCRED and SO_PEERGROUPS, socket(7)).
type caller struct {
	local.Author
	groups []uint32
}

func (c caller) isRoot() bool { return c.UID == 0 || c.UID == os.Geteuid() }

type callerKey struct{}

// maxReaders is how many connections others than root may have. They must not keep root
// from connecting, nor use up the daemon's descriptors.
const maxReaders = 128

// A listener accepts connections with their callers.
type listener struct {
	*net.UnixListener
	readers atomic.Int64 // connections of others than root
}

// A conn is a connection with its caller.
type conn struct {
	*net.UnixConn
	caller caller
	close  func() error
}

// Close closes the connection.
func (c *conn) Close() error { return c.close() }

// Accept implements net.Listener. It closes connections of others than root beyond
// maxReaders.
func (l *listener) Accept() (net.Conn, error) {
	for {
		u, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		c := &conn{UnixConn: u, caller: callerOf(u), close: u.Close}
		if c.caller.isRoot() {
			return c, nil
		}
		if l.readers.Add(1) > maxReaders {
			l.readers.Add(-1)
			u.Close()
			continue
		}
		left := sync.OnceFunc(func() { l.readers.Add(-1) })
		c.close = func() error { left(); return u.Close() }
		return c, nil
	}
}

func callerOf(u *net.UnixConn) caller {
	who := caller{Author: local.Author{UID: -1}}
	raw, err := u.SyscallConn()
	if err != nil {
		return who
	}
	raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			who.Author = local.Author{UID: int(cred.Uid), PID: int(cred.Pid)}
			who.groups = append(peerGroups(fd), cred.Gid)
		}
	})
	if known, err := user.LookupId(strconv.Itoa(who.UID)); err == nil {
		who.User = known.Username
	}
	return who
}

// peerGroups returns the supplementary groups of a socket's peer, none if the kernel does
// not report them (before 4.13).
func peerGroups(fd uintptr) []uint32 {
	groups := make([]uint32, 32)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && int(size) > 4*len(groups): // size is what they need
			groups = make([]uint32, size/4)
		case errno != 0:
			return nil
		default:
			return groups[:size/4]
		}
	}
}

func author(r *http.Request) local.Author {
	who, ok := r.Context().Value(callerKey{}).(caller)
	if !ok {
		return local.Author{UID: -1}
	}
	return who.Author
}

// authorize passes the requests of root to all, those of members of the reading group to
// read, and refuses the others.
func (s *Server) authorize(all, read *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := r.Context().Value(callerKey{}).(caller)
		if !ok {
			who.Author = author(r) // because the zero caller is root
		}
		group := s.readers.Load()
		switch {
		case who.isRoot():
			all.ServeHTTP(w, r)
		case group < 0 || !slices.Contains(who.groups, uint32(group)):
			reply(w, nil, forbidden{fmt.Errorf("%s may not use this daemon", who.Author)})
		default:
			if _, pattern := read.Handler(r); pattern == "" {
				reply(w, nil, forbidden{fmt.Errorf("%s may read and not change anything", who.Author)})
				return
			}
			read.ServeHTTP(w, r)
		}
	})
}

type forbidden struct{ error }

// SetReaders lets the members of a group connect and read; nobody but root if it is -1.
func (s *Server) SetReaders(group int) error {
	path := s.listener.Addr().String()
	// The socket never has a wider mode than its group is meant for.
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	s.readers.Store(int64(group))
	if group < 0 {
		return os.Chown(path, -1, os.Getegid())
	}
	if err := os.Chown(path, -1, group); err != nil {
		return err
	}
	return os.Chmod(path, 0o660)
}
