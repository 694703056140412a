package gate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// TestQuery asks a real Prometheus that scrapes a server of the test.
func TestQuery(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := startPrometheus(ctx, t)
	for _, tt := range []struct {
		expr              string
		failed, undecided string // part of the reason
	}{
		{"1", "", ""},
		{"0", "is 0", ""},
		{"app_errors < bool 5", "", ""},
		{"app_errors < bool 4", "is 0", ""},
		{`app_errors{code="500"} > bool 0`, "", ""},
		{"app_errors < 1", "", "needs the modifier bool"},
		{"no_such_metric < bool 1", "", "no result"},
		{"0/0", "", "is not a number"},
		{"app_errors[1m]", "", "want a scalar or an instant vector"},
		{`"text"`, "", "unexpected value type"},
		{"app_errors <", "", "parse error"},
	} {
		g := New("all")
		g.Ask(ctx, rollout.Gates{Query: tt.expr, Server: server}, func() []Candidate { return nil })
		got := g.Result()
		if !got.Done || !holds(got.Reason, tt.failed) || !holds(got.Inconclusive, tt.undecided) {
			t.Errorf("%s: got %+v, want %q, %q", tt.expr, got, tt.failed, tt.undecided)
		}
	}
}

// holds reports whether a reason has a part, and is empty if there is none to have.
func holds(reason, part string) bool {
	return (reason == "") == (part == "") && strings.Contains(reason, part)
}

// startPrometheus starts a Prometheus with the metric app_errors of two codes, 1 and 4,
// and returns its address once it has scraped it.
func startPrometheus(ctx context.Context, t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "app_errors{code=\"500\"} 1\napp_errors{code=\"503\"} 4\n")
	}))
	t.Cleanup(app.Close)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("scrape_configs: [{job_name: app, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: [%q]}]}]\n", strings.TrimPrefix(app.URL, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (scripts/setup installs it)", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	server := "http://" + address
	for query(ctx, server, "count(app_errors) == bool 2") != (result{}) {
		if clock.Sleep(ctx, 100*time.Millisecond) != nil {
			t.Fatalf("it never scraped the server:\n%s", log.String())
		}
	}
	return server
}

// TestQueryOfAHostileServer checks that whatever answers in the place of a Prometheus
// decides nothing, in bounded memory.
func TestQueryOfAHostileServer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"error":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"empty":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") },
		"null":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"success","data":null}`) },
		"wrong": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":"x"}}`)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(answer)
			defer s.Close()
			if got := query(t.Context(), s.URL, "up"); got.undecided == "" || got.failed != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
	if got := query(t.Context(), "http://127.0.0.1:1", "up"); got.undecided == "" {
		t.Errorf("nobody answers: %+v", got)
	}
}
