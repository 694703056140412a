package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/appimage"
)

// TestFourTiers runs an application of four tiers, as it is written for a cluster,
// while clients store orders and read them again. Each tier is replaced, a broken
// version is rolled back, an edited instance is replaced, and the machine is rebooted:
// no answer is wrong, and every order that was accepted is there in the end. Only the
// reboot may refuse a request.
func TestFourTiers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, app := range []string{"postgres-initdb", "redis", "shop", "nginx-container"} {
		archive, err := appimage.Build(t.Context(), app)
		check(t, err)
		check(t, s.adamant("load", archive))
	}
	port := freePort(t)
	text, err := os.ReadFile("testdata/shop.yaml")
	check(t, err)
	manifest := strings.ReplaceAll(string(text), "PORT", fmt.Sprint(port))
	file := filepath.Join(s.dir, "shop.yaml")
	apply := func() error {
		check(t, os.WriteFile(file, []byte(manifest), 0o600))
		return s.adamant("apply", "-f", file, "--wait", "--timeout", "6m")
	}
	edit := func(part, old, new string) {
		t.Helper()
		before, after, found := strings.Cut(manifest, part)
		if !found || !strings.Contains(after, old) {
			t.Fatalf("the manifest has no %q after %q", old, part)
		}
		manifest = before + part + strings.Replace(after, old, new, 1)
	}
	check(t, apply())

	c := newCustomers(t, port)
	for _, tier := range []string{"web", "cache", "db"} {
		edit("metadata:\n      labels: {app: "+tier+"}", `version: "1"`, `version: "2"`)
		c.during("the replacement of "+tier, func() { check(t, apply()) })
	}
	edit("labels: {app: app}", `VERSION, value: "1"`, `VERSION, value: "2"`)
	c.during("the replacement of app", func() { check(t, apply()) })

	good := manifest
	edit("image: adamant.test/shop:1", "", "\n        command: [python3, /app/missing.py]")
	c.during("a broken version", func() {
		if err := apply(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("a broken version is applied: %v", err)
		}
		if st := s.ended("app"); st.Phase != rollout.RolledBack {
			t.Errorf("after a broken version app is %s: %s", st.Phase, st.Reason)
		}
	})
	manifest = good

	c.during("an edit in an instance", func() {
		edited := s.ended("app").Instances[0].Name
		check(t, s.adamant("exec", edited, "--", "sh", "-c", "echo '# edited' >>/app/shop.py"))
		s.until("the edited instance is replaced", func() bool {
			var doc struct{ Workload local.Status }
			return s.ask(&doc, "status", "app", "-o", "json") == nil && doc.Workload.Ready == 2 && !strings.Contains(fmt.Sprint(doc.Workload.Instances), edited)
		})
	})

	c.mayFail(true)
	s.reboot()
	for _, tier := range []string{"db", "cache", "app", "web"} {
		s.ended(tier)
	}
	s.until("an order is read after the reboot", func() bool { return c.reads("0-0") })
	c.mayFail(false)
	c.during("the time after the reboot", func() {})
	c.close()
	check(t, s.adamant("delete", "-f", file))
}

// customers store orders and read them again until they are closed.
type customers struct {
	t    *testing.T
	url  string
	stop chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	accepted []string // names of orders
	refused  error    // the latest that was not allowed
	tolerant bool
}

func newCustomers(t *testing.T, port int) *customers {
	c := &customers{t: t, url: fmt.Sprintf("http://127.0.0.1:%d/orders/", port), stop: make(chan struct{})}
	for n := range 3 {
		c.wg.Go(func() { c.order(n) })
	}
	t.Cleanup(c.end)
	return c
}

// order stores one order after the other, and reads each and an earlier one.
func (c *customers) order(customer int) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("%d-%d", customer, n)
		for !c.post(name) { // an order whose answer is lost is sent again
			if c.pause(100 * time.Millisecond) {
				return
			}
		}
		c.mu.Lock()
		c.accepted = append(c.accepted, name)
		earlier := c.accepted[len(c.accepted)*customer/4]
		c.mu.Unlock()
		c.reads(name)
		c.reads(earlier)
		if c.pause(20 * time.Millisecond) {
			return
		}
	}
}

// pause reports whether the customers have been closed.
func (c *customers) pause(d time.Duration) bool {
	select {
	case <-c.stop:
		return true
	case <-time.After(d):
		return false
	}
}

func content(name string) string { return "the content of " + name }

func (c *customers) post(name string) bool {
	tolerant := c.isTolerant()
	resp, err := http.Post(c.url+name, "text/plain", strings.NewReader(content(name)))
	return c.judge("store", name, tolerant, resp, err)
}

func (c *customers) reads(name string) bool {
	tolerant := c.isTolerant()
	resp, err := http.Get(c.url + name)
	return c.judge("read", name, tolerant, resp, err)
}

// isTolerant reports whether a request that begins now may be refused.
func (c *customers) isTolerant() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tolerant
}

// judge reports whether an order was answered. A wrong answer fails the test. A request
// may be refused if that was so when it began, or is now.
func (c *customers) judge(what, name string, tolerant bool, resp *http.Response, err error) bool {
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil && resp.StatusCode >= 500 {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	if err == nil {
		if resp.StatusCode != http.StatusOK || string(body) != content(name) {
			c.t.Errorf("%s %s: a wrong answer: %s %q", what, name, resp.Status, body)
		}
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !tolerant && !c.tolerant {
		c.refused = fmt.Errorf("%s %s: %w", what, name, err)
	}
	return false
}

func (c *customers) mayFail(may bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tolerant = may
}

// during calls do, waits until orders are accepted after it, and fails the test if a
// request was refused meanwhile.
func (c *customers) during(what string, do func()) {
	c.t.Helper()
	do()
	had := c.count()
	for deadline := time.Now().Add(time.Minute); c.count() < had+10; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("after %s no order is accepted", what)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused != nil {
		c.t.Errorf("during %s a request was refused: %v", what, c.refused)
		c.refused = nil
	}
}

func (c *customers) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.accepted)
}

func (c *customers) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.wg.Wait()
}

// close ends the customers and reads every order that was accepted.
func (c *customers) close() {
	c.t.Helper()
	c.end()
	for _, name := range c.accepted {
		if !c.reads(name) {
			c.t.Fatalf("order %s was accepted and cannot be read", name)
		}
	}
	c.t.Logf("%d orders", len(c.accepted))
}
