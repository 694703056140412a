package probe

import (
	"context"
	"net"
	"strconv"
)

// TCP opens a connection. It succeeds if the connection is accepted.
type TCP struct {
	Host string
	Port int
}

// Probe implements Handler.
func (t TCP) Probe(ctx context.Context) Result {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(t.Host, strconv.Itoa(t.Port)))
	if err != nil {
		return Result{Output: err.Error()}
	}
	conn.Close()
	return Result{OK: true}
}
