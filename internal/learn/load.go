package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Load is what is done to a workload while it is watched, so that it writes
// what it writes in real use. The zero value does nothing but wait until the
// workload has been quiet for a while.
type Load struct {
	Commands []string      `json:"commands,omitempty"` // run in the first container; by its /bin/sh where it needs one
	HTTP     []string      `json:"http,omitempty"`     // "/path", ":8080/path" or a URL whose host is replaced by the pod's address
	For      time.Duration `json:"for,omitempty"`      // repeat the load for this long; once if zero
	Quiet    time.Duration `json:"quiet,omitempty"`    // then wait until nothing new was written for this long; 2 s if zero
}

const (
	defaultQuiet   = 2 * time.Second
	maxWait        = 2 * time.Minute // for a workload that never falls quiet
	requestsEach   = 32              // plain requests of each URL a round
	requestsAtOnce = 4
	spooledBody    = 1 << 20 // large enough that servers spool it to a file
)

// An Outcome is what one piece of load answered. Two runs of a workload behave
// alike if their outcomes are equal.
type Outcome struct {
	Load   string `json:"load"`   // "GET /", "POST / (1 MiB)" or the command
	Result string `json:"result"` // "200", "exit 0", or the error
	OK     bool   `json:"ok"`     // the load passed
	Class  string `json:"-"`      // of the result, as far as it is the same in every run
	Output string `json:"output,omitempty"`
}

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

// target resolves one --exercise-http argument against the pod's address.
func target(arg, ip string) (string, error) {
	if strings.HasPrefix(arg, "/") {
		arg = "http://pod" + arg
	} else if strings.HasPrefix(arg, ":") {
		arg = "http://pod" + arg
	}
	u, err := url.Parse(arg)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", fmt.Errorf("http load %q: want /path, :port/path or a URL", arg)
	}
	if port := u.Port(); port != "" {
		u.Host = net.JoinHostPort(ip, port)
	} else {
		u.Host = ip
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

// requests is the HTTP load of one round on one URL: many small requests at
// once, one that asks for the headers alone, and one whose body a server has
// to put somewhere.
func requests(target string) []request {
	return []request{
		{http.MethodGet, target, 0, requestsEach},
		{http.MethodHead, target, 0, 1},
		{http.MethodPost, target, spooledBody, 2},
	}
}

func (r request) run(ctx context.Context, c *http.Client) Outcome {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	codes := make([]int, r.times)
	for i := range codes {
		group.Go(func() (err error) {
			codes[i], err = r.once(ctx, c)
			return err
		})
	}
	err := group.Wait()
	switch worst := slices.Max(codes); {
	case err != nil && r.body > 0 && cutShort(err):
		// A server that does not want the body may say so by closing.
		return Outcome{Load: r.String(), Result: "refused early", OK: true}
	case err != nil:
		return Outcome{Load: r.String(), Result: reason(err)}
	case r.body > 0:
		return Outcome{Load: r.String(), Result: fmt.Sprint(worst), OK: worst < 500}
	default:
		return Outcome{Load: r.String(), Result: fmt.Sprint(worst), OK: worst < 500, Class: fmt.Sprint(worst / 100)}
	}
}

func cutShort(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

func (r request) once(ctx context.Context, c *http.Client) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(make([]byte, r.body)))
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, err
}

// reason is err without the addresses that differ from run to run.
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

// client does not reuse what an earlier, stopped instance answered on.
func client() *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{MaxConnsPerHost: requestsAtOnce, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// speaksHTTP reports whether a server at the address answers a GET.
func speaksHTTP(ctx context.Context, ip string, port int32) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c := client()
	defer c.CloseIdleConnections()
	code, err := request{http.MethodGet, fmt.Sprintf("http://%s/", net.JoinHostPort(ip, fmt.Sprint(port))), 0, 1}.once(ctx, c)
	return err == nil && code > 0
}
