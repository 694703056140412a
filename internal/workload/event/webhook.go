package event

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// WebhookOptions configure a Webhook.
type WebhookOptions struct {
	URL string // http or https
	// AuthorizationFile has the value of the header Authorization, such as "Bearer TOKEN".
	// It is read for each request, so that it can be replaced.
	AuthorizationFile string
	Timeout           time.Duration // of a request; 10 s if 0
}

// A Webhook is a Sink that posts events as a JSON array.
type Webhook struct {
	opts WebhookOptions
	url  *url.URL
	http http.Client
}

// maxRedirects is the number of redirects that a request follows.
const maxRedirects = 3

// NewWebhook returns the sink of a URL. It makes no request.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q: want an http or https URL", o.URL)
	}
	if o.AuthorizationFile != "" && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("%s: authorization would be sent unencrypted: use https", u.Redacted())
	}
	w := &Webhook{opts: o, url: u}
	w.http = http.Client{
		Timeout: cmp.Or(o.Timeout, 10*time.Second),
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		// Another host must get neither the events nor the authorization.
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || req.URL.Host != u.Host || req.URL.Scheme != u.Scheme || req.Method != http.MethodPost {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return w, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Name implements Sink. The path of a URL is often a secret, so that only its digest is in
// the name.
func (w *Webhook) Name() string {
	sum := sha256.Sum256([]byte(w.opts.URL))
	return fmt.Sprintf("the webhook at %s (%s)", w.url.Host, hex.EncodeToString(sum[:4]))
}

// Write implements Sink.
func (w *Webhook) Write(ctx context.Context, list []Event) error {
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.opts.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "adamant")
	if w.opts.AuthorizationFile != "" {
		authorization, err := ReadAuthorization(w.opts.AuthorizationFile)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", authorization)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		var u *url.Error // has the URL
		if errors.As(err, &u) {
			err = u.Err
		}
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode/100 == 3:
		return fmt.Errorf("%s to another host, which is not followed", resp.Status)
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusRequestEntityTooLarge, resp.StatusCode == http.StatusUnprocessableEntity:
		return &RefusedError{errors.New(resp.Status)}
	}
	return errors.New(resp.Status)
}

// Close implements Sink.
func (w *Webhook) Close() error {
	w.http.CloseIdleConnections()
	return nil
}

// maxAuthorization is the size limit of an AuthorizationFile, in bytes.
const maxAuthorization = 8 << 10

// ReadAuthorization reads an AuthorizationFile. It refuses one that everybody can read.
func ReadAuthorization(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: not a regular file", path)
	case info.Mode().Perm()&0o004 != 0:
		return "", fmt.Errorf("%s: everybody can read it: chmod o-r", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxAuthorization+1))
	if err != nil {
		return "", err
	}
	value := strings.TrimSpace(string(data))
	if value == "" || len(data) > maxAuthorization || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: want one line such as \"Bearer TOKEN\"", path) // the value stays secret
	}
	return value, nil
}
