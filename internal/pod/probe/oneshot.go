package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
)

// maxAnswer bounds the size of a response with its header, in bytes.
const maxAnswer = 1 << 20

// A oneShot sends each request on a new connection, without a proxy. It runs in
// the caller's goroutine. An http.Transport starts three goroutines for each
// request, which costs more than the request itself when a hundred pods are
// probed.
type oneShot struct{}

// RoundTrip implements http.RoundTripper. Closing the response's body closes the
// connection.
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
		port = req.URL.Scheme // Dial resolves a service name
	}
	address := net.JoinHostPort(req.URL.Hostname(), port)
	if req.URL.Scheme == "https" {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // as a kubelet
		return d.DialContext(ctx, "tcp", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// exchange sends a request and reads the header of the response.
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
		} // skip an informational response (1xx), which precedes the final one
	}
}

// A lastBody closes its connection when it is closed.
type lastBody struct {
	io.ReadCloser
	end func() error
}

func (b lastBody) Close() error { return b.end() }
