package balancer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// A peer is a connection to one process.
type peer struct {
	path string // of its socket
	http http.Client
}

func dial(path string) *peer {
	return &peer{path: path, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

func (p *peer) close() { p.http.CloseIdleConnections() }

// call sends a request and reads the answer, unless that is nil.
func (p *peer) call(ctx context.Context, method, path string, question, answer any) error {
	var body io.Reader
	if method == http.MethodPost {
		text, err := json.Marshal(question)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://balancer"+path, body)
	if err != nil {
		return err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // what there is of it
		return fmt.Errorf("balancer: %s: %s", resp.Status, strings.TrimSpace(string(why)))
	}
	if answer == nil {
		return nil
	}
	return decode(resp.Body, answer)
}

// waitEnd returns when the process ends or ctx does.
func (p *peer) waitEnd(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://balancer/v1/life", nil)
	if err != nil {
		return
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
}
