package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"syscall"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// ErrNotServing is returned when no daemon is listening.
var ErrNotServing = errors.New("no adamant serves here")

// An Error is an error response of the daemon.
type Error struct {
	Status  int    `json:"status"` // HTTP status
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Mend returns what a user can do who may not do it.
func (e *Error) Mend() string {
	if e.Status == http.StatusForbidden {
		return "run it with sudo"
	}
	return ""
}

// ErrDenied is returned if this user may not connect to the daemon.
var ErrDenied = errors.New("permission denied")

// A Client sends requests to the daemon. It is safe for concurrent use.
type Client struct {
	socket string
	http   http.Client
}

// Dial returns a client for a socket. It connects at the first request.
func Dial(socket string) *Client {
	var d net.Dialer
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
	}}}
}

// Close ends the client's connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call sends one request and decodes the response.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://adamant"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.describe(err)
	}
	defer resp.Body.Close()
	decoder := json.NewDecoder(resp.Body)
	if resp.StatusCode != http.StatusOK {
		e := &Error{}
		if err := decoder.Decode(e); err != nil || e.Message == "" {
			return fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		return e
	}
	return decoder.Decode(into)
}

// describe returns the error of a request that got no answer.
func (c *Client) describe(err error) error {
	var u *url.Error
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens at %s", ErrNotServing, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("connect to %s: %w", c.socket, ErrDenied)
	case errors.As(err, &u):
		return u.Err
	}
	return err
}

func workloadPath(k local.Key) string { return "/v1/workloads/" + keyPath(k) }

func keyPath(k local.Key) string {
	return url.PathEscape(k.Namespace) + "/" + url.PathEscape(k.Kind) + "/" + url.PathEscape(k.Name)
}

// List returns all workloads.
func (c *Client) List(ctx context.Context) (list []local.Status, err error) {
	return list, c.call(ctx, http.MethodGet, "/v1/workloads", nil, &list)
}

// ListIn returns the workloads of a namespace, all if that is empty.
func (c *Client) ListIn(ctx context.Context, namespace string) ([]local.Status, error) {
	list, err := c.List(ctx)
	if namespace != "" {
		list = slices.DeleteFunc(list, func(s local.Status) bool { return s.Namespace != namespace })
	}
	return list, err
}

// Status returns one workload.
func (c *Client) Status(ctx context.Context, k local.Key) (s local.Status, err error) {
	return s, c.call(ctx, http.MethodGet, workloadPath(k), nil, &s)
}

// Drift compares instances, all of a namespace if none is named and all if that is empty,
// and returns the reports without any content of files. The daemon does it, so that it
// needs no rights but to read.
func (c *Client) Drift(ctx context.Context, instances []string, namespace, container string) (report.DriftReportList, error) {
	q := url.Values{"instance": instances, "namespace": {namespace}, "container": {container}}
	var list []report.DriftReport
	err := c.call(ctx, http.MethodGet, "/v1/drift?"+q.Encode(), nil, &list)
	return report.DriftReportsOf(list), err
}

// History returns the history of a workload.
func (c *Client) History(ctx context.Context, k local.Key) (h local.History, err error) {
	return h, c.call(ctx, http.MethodGet, workloadPath(k)+"/history", nil, &h)
}

// Deleted returns the deleted workloads whose history is kept.
func (c *Client) Deleted(ctx context.Context) (list []local.Deletion, err error) {
	return list, c.call(ctx, http.MethodGet, "/v1/deleted", nil, &list)
}

// Apply applies a manifest or, with Dry, returns the changes that it would
// make.
func (c *Client) Apply(ctx context.Context, a ApplyRequest) (o local.Outcome, err error) {
	return o, c.call(ctx, http.MethodPost, "/v1/apply", a, &o)
}

// Command runs a verb on a workload: scale, pause, resume or undo.
func (c *Client) Command(ctx context.Context, k local.Key, verb string, r CommandRequest) (answer CommandRequest, err error) {
	return answer, c.call(ctx, http.MethodPost, workloadPath(k)+"/"+verb, r, &answer)
}

// Delete removes a workload, Service, ConfigMap or Secret.
func (c *Client) Delete(ctx context.Context, k local.Key) error {
	return c.call(ctx, http.MethodDelete, "/v1/objects/"+keyPath(k), nil, &struct{}{})
}
