package traffic

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A conn is a TCP connection of either side.
type conn struct {
	*net.TCPConn
	raw    syscall.RawConn
	halted atomic.Bool // see interrupt
	readBy time.Time   // the deadline of reads, as far as readWithin set it

	peek   func(fd uintptr) // kept here so that quiet allocates nothing
	silent bool             // what peek found
}

func newConn(c *net.TCPConn) *conn {
	raw, _ := c.SyscallConn() // fails only for a nil connection
	n := &conn{TCPConn: c, raw: raw}
	n.peek = func(fd uintptr) {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		n.silent = err == unix.EAGAIN
	}
	return n
}

// quiet reports whether the peer has neither closed the connection nor sent
// anything. An answer to nothing would be taken for that to the next request.
func (c *conn) quiet() bool {
	c.silent = false
	return c.raw.Control(c.peek) == nil && c.silent
}

// readWithin moves the deadline of reads to d from now, or leaves one that is
// about there: moving it for every request would cost more than it is worth.
func (c *conn) readWithin(d time.Duration) {
	now := time.Now()
	if left := c.readBy.Sub(now); left <= d && left > d-d/8 {
		return
	}
	c.readBy = now.Add(d)
	c.SetReadDeadline(c.readBy)
	if c.halted.Load() {
		c.SetReadDeadline(past)
	}
}

// readForever takes the deadline away.
func (c *conn) readForever() {
	c.readBy = time.Time{}
	c.SetReadDeadline(c.readBy)
}

// interrupt ends the read that another goroutine is in, and all its further
// ones until resume.
func (c *conn) interrupt() {
	c.halted.Store(true)
	c.SetReadDeadline(past)
}

// resume takes an interrupt back.
func (c *conn) resume() {
	c.halted.Store(false)
	c.readForever()
}

var past = time.Unix(1, 0)

// tcpClose is the state of a connection that is no more (TCP_CLOSE of
// linux/tcp_states.h).
const tcpClose = 7

// broken reports whether the connection was reset. A splice that failed does not
// tell which of its two connections it was.
func (c *conn) broken() bool {
	state := uint8(tcpClose)
	c.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = info.State
		}
	})
	return state == tcpClose
}
