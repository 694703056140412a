package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// agent is the User-Agent of a kubelet, which some programs check.
const agent = "kube-probe/1.37"

// maxRedirects is the maximum number of redirects, as in the kubelet.
const maxRedirects = 10

// HTTP gets a URL. It succeeds on a status from 200 to 399, and on a redirect to
// another host, which it does not follow. It does not verify certificates.
type HTTP struct {
	Scheme string // http or https, http if empty
	Host   string
	Port   int
	Path   string // with its query
	Header http.Header
}

// Probe implements Handler.
func (h HTTP) Probe(ctx context.Context) Result {
	status, body, err := h.get(ctx)
	var away *redirectedAway
	switch {
	case errors.As(err, &away):
		return Result{OK: true, Output: away.Error()}
	case err != nil:
		return Result{Output: err.Error()}
	case status >= 200 && status < 400:
		return Result{OK: true, Output: body}
	}
	return Result{Output: fmt.Sprintf("HTTP probe failed with statuscode: %d", status)}
}

// Get performs the request of a lifecycle hook. Any response is a success.
func Get(ctx context.Context, h HTTP) error {
	_, _, err := h.get(ctx)
	var away *redirectedAway
	if errors.As(err, &away) {
		return nil
	}
	return err
}

// A redirectedAway is the error of a redirect to another host.
type redirectedAway struct{ to string }

func (e *redirectedAway) Error() string {
	return "Probe terminated redirects, Response body: to " + e.to
}

func (h HTTP) get(ctx context.Context) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url().String(), nil)
	if err != nil {
		return 0, "", err
	}
	req.Header = h.header()
	// net/http ignores a Host in the header and sends Request.Host.
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	client := http.Client{Transport: oneShot{}, CheckRedirect: sameHost}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxOutput))
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, string(bytes.ToValidUTF8(data, []byte("\uFFFD"))), nil
}

// header returns the header of the manifest with the defaults of a kubelet. An
// empty Accept in the manifest removes that header.
func (h HTTP) header() http.Header {
	out := h.Header.Clone()
	if out == nil {
		out = http.Header{}
	}
	if _, ok := out["User-Agent"]; !ok {
		out.Set("User-Agent", agent)
	}
	if accept, ok := out["Accept"]; !ok {
		out.Set("Accept", "*/*")
	} else if len(accept) == 1 && accept[0] == "" {
		out.Del("Accept")
	}
	return out
}

func (h HTTP) url() *url.URL {
	u, err := url.Parse(h.Path)
	if err != nil {
		u = &url.URL{Path: h.Path}
	}
	u.Scheme = strings.ToLower(h.Scheme)
	if u.Scheme == "" {
		u.Scheme = "http"
	}
	u.Host = net.JoinHostPort(h.Host, strconv.Itoa(h.Port))
	return u
}

func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Hostname() != via[0].URL.Hostname() {
		return &redirectedAway{req.URL.String()}
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	return nil
}
