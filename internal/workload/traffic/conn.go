package traffic

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A conn is a TCP connection of either side, to a client perhaps with TLS.
type conn struct {
	*net.TCPConn
	tls    *tls.Conn // over TCPConn; nil without TLS
	failed bool      // TLS ended with an error, so that the bytes may be incomplete
	reset  bool      // set by abort

	raw    syscall.RawConn
	halted atomic.Bool // set by interrupt
	readBy time.Time   // read deadline that readWithin set

	peek   func(fd uintptr) // a field so that quiet does not allocate
	silent bool             // result of peek
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
// anything. Bytes that were sent without a request would be taken for the
// response to the next one.
func (c *conn) quiet() bool {
	c.silent = false
	return c.raw.Control(c.peek) == nil && c.silent
}

// readWithin sets the read deadline to d from now, within an eighth of d. Setting it
// for every request would cost more than the precision is worth.
func (c *conn) readWithin(d time.Duration) {
	now := time.Now()
	if left := c.readBy.Sub(now); left <= d && left > d-d/8 {
		return
	}
	c.readBy = now.Add(d)
	c.SetReadDeadline(c.readBy)
	// interrupt may have set its deadline just before this one.
	if c.halted.Load() {
		c.SetReadDeadline(past)
	}
}

// readForever removes the read deadline.
func (c *conn) readForever() {
	c.readBy = time.Time{}
	c.SetReadDeadline(c.readBy)
}

// interrupt ends the current read of another goroutine and all further ones
// until resume.
func (c *conn) interrupt() {
	c.halted.Store(true)
	c.SetReadDeadline(past)
}

// resume reverts interrupt.
func (c *conn) resume() {
	c.halted.Store(false)
	c.readForever()
}

var past = time.Unix(1, 0)

// tcpClose is the state of a closed connection (TCP_CLOSE in
// linux/tcp_states.h).
const tcpClose = 7

// broken reports whether the connection was reset, or its TLS failed. The error of a splice does
// not tell which of its two connections failed.
func (c *conn) broken() bool {
	if c.failed {
		return true
	}
	state := uint8(tcpClose)
	c.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = info.State
		}
	})
	return state == tcpClose
}
