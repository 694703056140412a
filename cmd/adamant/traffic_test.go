package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// TestNothingIsCut rolls out, kills, stops and upgrades the daemon while clients of
// many kinds use a server that shuts down well: no request fails, and no session
// ends without the server's last word.
func TestNothingIsCut(t *testing.T) {
	t.Parallel()
	newer := t.TempDir() // until the daemon has ended
	s := serve(t)
	s.load("uncut-a", "a", "")
	s.load("uncut-b", "b", "")
	port, h2c := freePort(t), freePort(t)
	manifest := func(image string) string {
		text := strings.Replace(webManifest(image, 2, port), "terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 20", 1)
		return strings.Replace(text, "targetPort: http, name: http}]", fmt.Sprintf("targetPort: http, name: http}, {port: %d, targetPort: http, name: h2c}]", h2c), 1)
	}
	apply := func(image string) {
		s.apply(manifest(image))
		if st := s.ended("web"); st.Phase != rollout.Complete {
			t.Errorf("the rollout of %s is %s: %s", image, st.Phase, st.Reason)
		}
	}
	apply("uncut-a")
	c := newClients(t, port, h2c)
	step := func(what string, do func()) {
		t.Helper()
		c.expectMore()
		do()
		c.expectMore()
		if failed := c.failures(); len(failed) > 0 {
			t.Errorf("%s: %d failed: %v", what, len(failed), failed[0])
		}
	}
	step("a rollout", func() { apply("uncut-b") })
	step("a kill of the daemon", func() { s.kill(); s.start() })
	step("a stop of the daemon", func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait()
		c.expectMore()
		s.start()
	})
	step("a kill of the daemon in a rollout", func() {
		s.apply(manifest("uncut-a"))
		s.kill()
		s.start()
		s.ended("web")
	})
	step("an upgrade of the daemon", func() {
		program, err := os.ReadFile(filepath.Join(s.bin, "adamant"))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(newer, "adamant"), program, 0o755))
		s.kill()
		s.bin = newer
		s.start()
		apply("uncut-b")
	})
	c.close()
	if failed := c.failures(); len(failed) > 0 {
		t.Errorf("%d failed: %v", len(failed), failed)
	}
	t.Log(c.done)
	check(t, s.adamant("delete", "web", "svc/web"))
	s.until("the balancers have ended", func() bool { return len(s.processes("adamant")) == 0 })
}

// clients use a server in several ways until they are closed.
type clients struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	done   map[string]int // what succeeded, by kind
	failed []error
}

func newClients(t *testing.T, port, h2c int) *clients {
	ctx, cancel := context.WithCancel(t.Context())
	c := &clients{t: t, cancel: cancel, done: map[string]int{}}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	kept := &http.Transport{}
	closing := &http.Transport{DisableKeepAlives: true}
	two := &http.Transport{Protocols: new(http.Protocols)}
	two.Protocols.SetUnencryptedHTTP2(true)
	for kind, do := range map[string]func() error{
		"get":     func() error { return c.request(ctx, kept, "GET", "http://"+address+"/", "\n") },
		"post":    func() error { return c.request(ctx, kept, "POST", "http://"+address+"/", "\n") },
		"close":   func() error { return c.request(ctx, closing, "POST", "http://"+address+"/", "\n") },
		"slow":    func() error { return c.request(ctx, kept, "GET", "http://"+address+"/slow?for=3s", "\n") },
		"events":  func() error { return c.request(ctx, kept, "GET", "http://"+address+"/events", "end\n") },
		"h2c":     func() error { return c.request(ctx, two, "GET", fmt.Sprintf("http://127.0.0.1:%d/", h2c), "\n") },
		"session": func() error { return c.session(ctx, address) },
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
		for _, kind := range []string{"get", "post", "close", "slow", "events", "h2c", "echo"} {
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
		return fmt.Errorf("status %d, %d bytes, %w", resp.StatusCode, len(text), errors.Join(err))
	}
	time.Sleep(5 * time.Millisecond)
	return nil
}

// session is a session of web/server. It is nil if the server ended it with its last
// word.
func (c *clients) session(ctx context.Context, address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	r := bufio.NewReader(conn)
	fmt.Fprint(conn, "GET /session HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
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
			c.note("echo", nil, false)
		case "bye\n":
			return nil
		default:
			return fmt.Errorf("got %q: %w", line, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
