package balancer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// takeOverLimit bounds the exchange of sockets.
const takeOverLimit = 10 * time.Second

// A handover is what a process hands to the next one. After it, the listening
// sockets follow in the order of Addresses, each with one byte.
type handover struct {
	Listeners []traffic.Listener `json:"listeners"`
	Addresses []string           `json:"addresses"`
	Names     *names.Zone        `json:"names,omitempty"` // whose sockets are not handed over: both processes listen for a moment
}

// sockets answers with a handover instead of an HTTP response: its length in eight
// bytes, the document, and the sockets.
func (p *process) sockets(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(takeOverLimit))
	p.handOver(c.(*net.UnixConn)) // the receiver reports an error
}

func (p *process) handOver(c *net.UnixConn) error {
	h := handover{Listeners: p.pool.Listeners(), Names: p.names.Zone()}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	err := p.pool.Sockets(func(address string, l *net.TCPListener) error {
		f, err := l.File()
		if err != nil {
			return err
		}
		h.Addresses, files = append(h.Addresses, address), append(files, f)
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint64(nil, uint64(len(text))), text...)); err != nil {
		return err
	}
	for _, f := range files {
		if err := sendSocket(c, f); err != nil {
			return err
		}
	}
	return nil
}

func sendSocket(c *net.UnixConn, f *os.File) error {
	// Not f.Fd, which makes the socket blocking, also for the listener.
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) { _, _, sent = c.WriteMsgUnix([]byte{1}, unix.UnixRights(int(fd)), nil) })
	return errors.Join(err, sent)
}

// takeOver receives the routes and listening sockets of another process, serves
// with them, and then retires that process, so that at any time at least one of both
// accepts clients.
func (p *process) takeOver(ctx context.Context, from string) error {
	ctx, cancel := context.WithTimeout(ctx, takeOverLimit)
	defer cancel()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: from, Net: "unix"})
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(takeOverLimit))
	if _, err := io.WriteString(c, "POST /v1/sockets HTTP/1.1\r\nHost: balancer\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return err
	}
	h, err := receive(c, p.pool)
	if err != nil {
		return err
	}
	failed := apply(ctx, p.pool, p.names, applyRequest{h.Listeners, h.Names})
	p.pool.DropInherited()
	for _, err := range failed {
		return err
	}
	old := dial(from)
	defer old.close()
	return old.call(ctx, "POST", "/v1/retire", struct{}{}, nil)
}

func receive(c *net.UnixConn, pool *traffic.Pool) (handover, error) {
	var h handover
	length := make([]byte, 8)
	if _, err := io.ReadFull(c, length); err != nil {
		return h, err
	}
	n := binary.BigEndian.Uint64(length)
	if n > maxMessage {
		return h, fmt.Errorf("a handover of %d bytes, more than %d", n, maxMessage)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(c, text); err != nil {
		return h, err
	}
	if err := decode(bytes.NewReader(text), &h); err != nil {
		return h, err
	}
	for _, address := range h.Addresses {
		l, err := receiveSocket(c)
		if err != nil {
			return h, fmt.Errorf("receive the socket of %s: %w", address, err)
		}
		pool.Inherit(address, l)
	}
	return h, nil
}

func receiveSocket(c *net.UnixConn) (*net.TCPListener, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := c.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:size])
	if err != nil || n != 1 || len(messages) != 1 {
		return nil, errors.Join(errors.New("no socket was sent"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("no socket was sent"), err)
	}
	f := os.NewFile(uintptr(fds[0]), "listener")
	defer f.Close() // FileListener duplicates it
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a socket of %s", l.Addr().Network()), l.Close())
	}
	return tcp, nil
}
