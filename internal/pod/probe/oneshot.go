package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
)

// maxAnswer bounds what is read of an answer, its header included.
const maxAnswer = 1 << 20

// A oneShot makes every request on a connection of its own and through no
// proxy. It does so in the caller's goroutine: probing a hundred pods, an
// http.Transport costs more by starting three for each than by asking.
type oneShot struct{}

// RoundTrip asks once. The connection ends with the response's body.
func (oneShot) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	conn, err := dial(ctx, req)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	end := func() error { stop(); return conn.Close() }
	resp, err := exchange(conn, req)
	if err != nil {
		end()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	resp.Body = lastBody{resp.Body, end}
	return resp, nil
}

func dial(ctx context.Context, req *http.Request) (net.Conn, error) {
	port := req.URL.Port()
	if port == "" {
		port = req.URL.Scheme // the service's name will do
	}
	address := net.JoinHostPort(req.URL.Hostname(), port)
	if req.URL.Scheme == "https" {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // as a kubelet
		return d.DialContext(ctx, "tcp", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// exchange sends a request and reads the header of its answer.
func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	once := *req
	once.Close = true
	if err := once.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	for {
		resp, err := http.ReadResponse(r, &once)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		} // only an interim answer
	}
}

// A lastBody ends its connection when it is closed, read or not.
type lastBody struct {
	io.ReadCloser
	end func() error
}

func (b lastBody) Close() error { return b.end() }
