package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/certificate"
)

// TestNothingIsCut rolls out, kills, stops and upgrades the daemon while clients of
// many kinds use a server that shuts down well: no request fails, and no session
// ends without the server's last word. One of them makes a pod call the others by the
// name of their Service. ADAMANT_ROLLOUTS sets the number of rollouts; for every four of
// them the daemon is stopped and killed once, for every seven it is upgraded.
func TestNothingIsCut(t *testing.T) {
	t.Parallel()
	rollouts := 1
	if text := os.Getenv("ADAMANT_ROLLOUTS"); text != "" {
		var err error
		rollouts, err = strconv.Atoi(text)
		check(t, err)
	}
	newer := t.TempDir() // until the daemon has ended
	s := serve(t)
	s.load("uncut-a", "a", "")
	s.load("uncut-b", "b", "")
	port, h2c := freePort(t), freePort(t)
	manifest := func(image string) string {
		text := strings.Replace(webManifest(image, 2, port), "terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 20", 1)
		return strings.Replace(text, "targetPort: http, name: http}]", fmt.Sprintf("targetPort: http, name: http}, {port: %d, targetPort: http, name: h2c}]", h2c), 1)
	}
	plain, secured := freePort(t), freePort(t)
	first, second := certificate.Make(t, "web.test"), certificate.Make(t, "web.test")
	pair := first // the one that is served
	apply := func(image string) {
		s.apply(manifest(image) + ingressManifest(pair, plain, secured))
		if st := s.ended("web"); st.Phase != rollout.Complete {
			t.Errorf("the rollout of %s is %s: %s", image, st.Phase, st.Reason)
		}
	}
	apply("uncut-a")
	c := newClients(t, port, h2c)
	c.through(secured, first, second)
	step := func(what string, do func()) {
		t.Helper()
		c.expectMore()
		do()
		c.expectMore()
		if failed := c.failures(); len(failed) > 0 {
			t.Errorf("%s: %d failed: %v", what, len(failed), failed[0])
		}
	}
	image := "uncut-a"
	other := func() string {
		image = map[string]string{"uncut-a": "uncut-b", "uncut-b": "uncut-a"}[image]
		return image
	}
	for range rollouts {
		step("a rollout", func() { apply(other()) })
	}
	step("a new certificate", func() {
		before := shownCertificate(t, secured)
		pair = second
		apply(image)
		if now := shownCertificate(t, secured); !bytes.Equal(before, first.Chain) || !bytes.Equal(now, second.Chain) {
			t.Error("not the certificates of the Secret")
		}
	})
	c.redirected(plain, secured)
	for range 1 + rollouts/4 {
		step("a kill of the daemon", func() { s.kill(); s.start() })
		step("a stop of the daemon", func() {
			s.cmd.Process.Signal(syscall.SIGTERM)
			s.cmd.Wait()
			c.expectMore()
			s.start()
		})
		step("a kill of the daemon in a rollout", func() {
			s.apply(manifest(other()))
			s.kill()
			s.start()
			s.ended("web")
		})
	}
	for i := range 1 + rollouts/7 {
		step("an upgrade of the daemon", func() {
			program, err := os.ReadFile(filepath.Join(s.bin, "adamant"))
			check(t, err)
			dir := filepath.Join(newer, strconv.Itoa(i))
			check(t, os.Mkdir(dir, 0o755))
			check(t, os.WriteFile(filepath.Join(dir, "adamant"), program, 0o755))
			s.kill()
			s.bin = dir
			s.start()
			apply(other())
		})
	}
	c.close()
	if failed := c.failures(); len(failed) > 0 {
		t.Errorf("%d failed: %v", len(failed), failed)
	}
	t.Log(c.done)
	if !bytes.Equal(shownCertificate(t, secured), second.Chain) {
		t.Error("the newer process has another certificate")
	}
	check(t, s.adamant("delete", "web", "svc/web", "ing/web", "secret/web"))
	s.until("the balancers have ended", func() bool { return len(s.processes("adamant")) == 0 })
}

// clients use a server in several ways until they are closed.
type clients struct {
	t      *testing.T
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	done   map[string]int // what succeeded, by kind
	failed []error
}

func newClients(t *testing.T, port, h2c int) *clients {
	ctx, cancel := context.WithCancel(t.Context())
	c := &clients{t: t, ctx: ctx, cancel: cancel, done: map[string]int{}}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	kept := &http.Transport{}
	closing := &http.Transport{DisableKeepAlives: true}
	two := &http.Transport{Protocols: new(http.Protocols)}
	two.Protocols.SetUnencryptedHTTP2(true)
	for kind, do := range map[string]func() error{
		"get":    func() error { return c.request(ctx, kept, "GET", "http://"+address+"/", "\n") },
		"post":   func() error { return c.request(ctx, kept, "POST", "http://"+address+"/", "\n") },
		"close":  func() error { return c.request(ctx, closing, "POST", "http://"+address+"/", "\n") },
		"slow":   func() error { return c.request(ctx, kept, "GET", "http://"+address+"/slow?for=3s", "\n") },
		"events": func() error { return c.request(ctx, kept, "GET", "http://"+address+"/events", "end\n") },
		"h2c":    func() error { return c.request(ctx, two, "GET", fmt.Sprintf("http://127.0.0.1:%d/", h2c), "\n") },
		"name": func() error {
			return c.request(ctx, kept, "GET", "http://"+address+"/fetch?url=http://web:"+fmt.Sprint(port)+"/", "\n")
		},
		"session": func() error {
			return c.session(ctx, func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			}, "echo")
		},
	} {
		c.wg.Go(func() {
			for ctx.Err() == nil {
				c.note(kind, do(), ctx.Err() != nil)
			}
		})
	}
	t.Cleanup(func() {
		c.close()
		for _, tr := range []*http.Transport{kept, closing, two} {
			tr.CloseIdleConnections()
		}
	})
	return c
}

func (c *clients) close() {
	c.cancel()
	c.wg.Wait()
}

// ingressManifest leads https://web.test to the Service of webManifest.
func ingressManifest(c certificate.Pair, plain, secured int) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Secret
metadata: {name: web}
type: kubernetes.io/tls
stringData: {tls.crt: %q, tls.key: %q}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations: {adamant.sh/listen: "127.0.0.1:%d", adamant.sh/listen-tls: "127.0.0.1:%d"}
spec:
  ingressClassName: adamant
  tls: [{hosts: [web.test], secretName: web}]
  rules:
  - host: web.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}
`, c.Chain, c.Key, plain, secured)
}

// shownCertificate returns the certificate of an address, in PEM.
func shownCertificate(t *testing.T, port int) []byte {
	t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: "web.test", InsecureSkipVerify: true})
	check(t, err)
	defer conn.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})
}

// through adds clients that use the Ingress at a port with TLS.
func (c *clients) through(port int, trusted ...certificate.Pair) {
	pool := x509.NewCertPool()
	for _, p := range trusted {
		pool.AppendCertsFromPEM(p.Chain)
	}
	config := &tls.Config{ServerName: "web.test", RootCAs: pool}
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	tr := &http.Transport{DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	for kind, do := range map[string]func() error{
		"ingress":        func() error { return c.request(c.ctx, tr, "POST", "https://web.test/", "\n") },
		"secure session": func() error { return c.session(c.ctx, dial, "secure echo") },
	} {
		c.wg.Go(func() {
			for c.ctx.Err() == nil {
				c.note(kind, do(), c.ctx.Err() != nil)
			}
		})
	}
	c.t.Cleanup(tr.CloseIdleConnections)
}

// redirected checks that the Ingress sends clients without TLS to the port with it.
func (c *clients) redirected(plain, secured int) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "GET", fmt.Sprintf("http://127.0.0.1:%d/a?b", plain), nil)
	check(c.t, err)
	req.Host = "web.test"
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	check(c.t, err)
	defer resp.Body.Close()
	if got, want := resp.Header.Get("Location"), fmt.Sprintf("https://web.test:%d/a?b", secured); resp.StatusCode != http.StatusPermanentRedirect || got != want {
		c.t.Errorf("without TLS: %s to %q, want %q", resp.Status, got, want)
	}
}

func (c *clients) note(kind string, err error, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.done[kind]++
	case !ended:
		c.failed = append(c.failed, fmt.Errorf("%s at %s: %w", kind, time.Now().Format("05.000"), err))
	}
}

func (c *clients) failures() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// expectMore waits until every kind succeeded again.
func (c *clients) expectMore() {
	c.t.Helper()
	c.mu.Lock()
	before := map[string]int{}
	for kind, n := range c.done {
		before[kind] = n
	}
	c.mu.Unlock()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		missing := ""
		c.mu.Lock()
		for _, kind := range []string{"get", "post", "close", "slow", "events", "h2c", "name", "echo", "ingress", "secure echo"} {
			if c.done[kind] <= before[kind] {
				missing = kind
			}
		}
		c.mu.Unlock()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("nothing of kind %s succeeds", missing)
		}
	}
}

func (c *clients) request(ctx context.Context, tr *http.Transport, method, url, end string) error {
	var body io.Reader
	if method == "POST" {
		body = io.MultiReader(strings.NewReader(strings.Repeat("x", 10_000))) // net/http cannot repeat it
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(string(text), end) {
		return fmt.Errorf("status %d, %d bytes, error %v", resp.StatusCode, len(text), err)
	}
	time.Sleep(5 * time.Millisecond)
	return nil
}

// session is a session of web/server. It is nil if the server ended it with its last
// word. Each answer counts as one of a kind.
func (c *clients) session(ctx context.Context, dial func(context.Context) (net.Conn, error), kind string) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	r := bufio.NewReader(conn)
	fmt.Fprint(conn, "GET /session HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	for {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintln(conn, "hello"); err != nil {
			return err
		}
		switch line, err := r.ReadString('\n'); line {
		case "hello\n":
			c.note(kind, nil, false)
		case "bye\n":
			return nil
		default:
			return fmt.Errorf("got %q: %w", line, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
