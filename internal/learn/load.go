package learn

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/clock"
)

// A Load configures the load on a workload while it is observed. It should
// cause the same writes as real use. The zero value requests / from the
// declared ports that answer HTTP, and waits until the workload has been quiet
// for a while.
//
// Each command, request and file may begin with the workload that it is meant for,
// "deploy/web=" or "deploy/web/container=". It must if there are several.
//
// What only the processes of a command write is no write of the workload: the
// command stands for a client. What the workload's own processes write because of
// it counts, and so does what probes and hooks write, which belong to the workload.
type Load struct {
	Commands []string      `json:"commands,omitempty"` // run in a container, the pod's default one; by its /bin/sh where it needs one
	HTTP     []string      `json:"http,omitempty"`     // "/path", ":8080/path" or a URL; whatever its host, the pod is asked
	Replay   []string      `json:"replay,omitempty"`   // HAR files and access logs whose requests are sent to the pod
	For      time.Duration `json:"for,omitempty"`      // repeat the load for this long; once if zero
	Quiet    time.Duration `json:"quiet,omitempty"`    // then wait until nothing new was written for this long; 2 s if zero
}

const (
	defaultQuiet   = 2 * time.Second
	maxWait        = 2 * time.Minute // for a workload that never falls quiet
	requestsEach   = 32              // plain requests of each URL a round
	requestsAtOnce = 4
	spooledBody    = 1 << 20 // large enough that servers spool it to a file
	bodyAttempts   = 3       // of a body that is cut short
)

// request is one kind of HTTP load.
type request struct {
	method string
	url    string
	body   int // bytes
	times  int
}

func (r request) String() string {
	path := r.url
	if u, err := url.Parse(r.url); err == nil {
		path = u.RequestURI()
		if port := u.Port(); port != "" && port != "80" {
			path = ":" + port + path
		}
	}
	if r.body > 0 {
		return fmt.Sprintf("%s %s (%d MiB)", r.method, path, r.body>>20)
	}
	return r.method + " " + path
}

// target returns the URL of one --exercise-http argument. A URL without a host
// gets the pod's address, as in a probe.
func target(arg, ip string) (string, error) {
	host := ip
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, ":") {
		arg = "http://" + host + arg
	}
	u, err := url.Parse(arg)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", fmt.Errorf("http load %q: want /path, :port/path or a URL", arg)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment = ""
	return u.String(), nil
}

// portOf returns the port of a URL.
func portOf(target string) string {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return ""
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// requests returns the HTTP load of one round on one URL: many small concurrent
// requests, a HEAD request, and one with a body that is large enough for a
// server to write it to a file.
func requests(target string) []request {
	return []request{
		{http.MethodGet, target, 0, requestsEach},
		{http.MethodHead, target, 0, 1},
		{http.MethodPost, target, spooledBody, 2},
	}
}

func (r request) run(ctx context.Context, c *http.Client) Outcome {
	// The group has no context of its own, because cancelling it would break a
	// connection that was just returned to the pool, and with it the next
	// request.
	var group errgroup.Group
	group.SetLimit(requestsAtOnce)
	codes := make([]int, r.times)
	for i := range codes {
		group.Go(func() (err error) {
			codes[i], err = r.patient(ctx, c)
			return err
		})
	}
	err := group.Wait()
	out := Outcome{Load: r.String(), Free: r.body > 0}
	switch worst := slices.Max(codes); {
	case err != nil && r.body > 0 && cutShort(err):
		// A server may refuse the body by closing the connection.
		out.Result, out.OK, out.Class = "refused early", true, refused
	case err != nil:
		out.Result = reason(err)
	case r.body > 0 && (worst/100 == 4 || worst == http.StatusNotImplemented):
		out.Result, out.OK, out.Class = fmt.Sprint(worst), true, refused
	default:
		// A server need not implement HEAD.
		isOK := worst < 500 || worst == http.StatusNotImplemented
		out.Result, out.OK, out.Class = fmt.Sprint(worst), isOK, fmt.Sprint(worst/100)
	}
	return out
}

// patient repeats a request with a body until it is answered, a few times at
// most.
func (r request) patient(ctx context.Context, c *http.Client) (code int, err error) {
	for range bodyAttempts {
		if code, err = r.once(ctx, c); err == nil || r.body == 0 || !cutShort(err) {
			break
		}
	}
	return code, err
}

// cutShort reports whether a server accepted the connection and closed it early.
// The client has many errors for that, so all count except failures to connect,
// timeouts and cancellation.
func cutShort(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	var timeout interface{ Timeout() bool }
	return !errors.Is(err, context.Canceled) && !(errors.As(err, &timeout) && timeout.Timeout())
}

func (r request) once(ctx context.Context, c *http.Client) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(make([]byte, r.body)))
	if err != nil {
		return 0, err
	}
	if r.body > 0 {
		// With this header, a server can refuse the body before it is sent.
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, err
}

// reason returns the text of err without addresses, which differ from run to
// run.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

// client returns a client that connects to the pod whatever host a URL names,
// so that requests reach all of its virtual hosts. It does not verify
// certificates: it sends nothing secret and does not trust the answers.
// It has its own connections, because the pod at the same address may be
// another instance than before.
func client(ip string) *http.Client {
	var d net.Dialer
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(addr)
				if err != nil {
					return nil, err
				}
				return d.DialContext(ctx, network, net.JoinHostPort(ip, port))
			},
			TLSClientConfig:       &tls.Config{InsecureSkipVerify: true},
			MaxConnsPerHost:       requestsAtOnce,
			DisableCompression:    true,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// httpAt returns the URL of a port's root page, empty if no HTTP server answers
// there.
func httpAt(ctx context.Context, ip string, port int32) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c := client(ip)
	defer c.CloseIdleConnections()
	ask := func(scheme string) (string, int) {
		u := scheme + "://" + net.JoinHostPort(ip, fmt.Sprint(port)) + "/"
		code, err := request{http.MethodGet, u, 0, 1}.once(ctx, c)
		if err != nil {
			return u, 0
		}
		return u, code
	}
	plain, code := ask("http")
	if code != 0 && code != http.StatusBadRequest {
		return plain
	}
	// An HTTPS server answers plain requests with 400, or closes the
	// connection.
	if secure, code := ask("https"); code != 0 {
		return secure
	}
	if code == 0 {
		return ""
	}
	return plain
}

// accepts waits until a server listens at an address, or ctx ends.
func accepts(ctx context.Context, addr string) bool {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
			return true
		}
		if clock.Sleep(ctx, pollTraces) != nil {
			return false
		}
	}
}
