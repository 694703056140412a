package api

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

const configHead = "apiVersion: adamant.sh/v1\nkind: ServeConfig\n"

func TestConfig(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("Bearer x"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "serve.yaml")
	text := configHead + `dataDir: /srv/adamant
metrics: 127.0.0.1:9464
readGroup: "0"
events:
  file: /var/log/adamant/events.jsonl
  webhook: {url: "https://hooks.example.com/x", authorizationFile: ` + token + `, timeout: 5s}
images: {highThresholdPercent: 85, lowThresholdPercent: 80}
`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Header: document.NewHeader(document.ServeConfig), DataDir: "/srv/adamant", Metrics: "127.0.0.1:9464", ReadGroup: "0",
		Events: EventsConfig{File: "/var/log/adamant/events.jsonl", Webhook: &WebhookConfig{URL: "https://hooks.example.com/x", AuthorizationFile: token, Timeout: "5s"}},
		Images: &ImagesConfig{HighThresholdPercent: 85, LowThresholdPercent: 80},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	wantPolicy := &local.ImagePolicy{High: 85, Low: 80, MinimumAge: 24 * time.Hour}
	if policy, err := got.Images.policy(); err != nil || *policy != *wantPolicy {
		t.Errorf("policy %+v, %v, want %+v", policy, err, wantPolicy)
	}
	if _, err := LoadConfig(path + ".missing"); err == nil {
		t.Error("a file that is asked for and missing: no error")
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"unknown field":      {configHead + "metric: x\n", "f:3:1: metric: unknown field (did you mean metrics?)"},
		"unknown inner":      {configHead + "events: {files: x}\n", "f:3:10: events.files: unknown field (did you mean file?)"},
		"no kind":            {"apiVersion: adamant.sh/v1\n", `f: kind: "" (want ServeConfig)`},
		"other kind":         {"apiVersion: adamant.sh/v1\nkind: Profile\n", `f:2:7: kind: "Profile" (want ServeConfig)`},
		"other version":      {"apiVersion: v1\nkind: ServeConfig\n", `f:1:13: apiVersion: "v1" (want adamant.sh/v1)`},
		"empty":              {"", "f: expected one document, found 0"},
		"wrong type":         {configHead + "metrics: 9464\n", "f:3:10: metrics: expected a string"},
		"relative directory": {configHead + "stateDir: run\n", `f:3:11: stateDir: "run": want an absolute path`},
		"no percentage":      {configHead + "images: {lowThresholdPercent: 80}\n", "f:3:9: images.highThresholdPercent: 0 is no percentage: want 1 to 100"},
		"low over high":      {configHead + "images: {highThresholdPercent: 80, lowThresholdPercent: 80}\n", "f:3:57: images.lowThresholdPercent: 80 is not less than highThresholdPercent, 80"},
		"negative age":       {configHead + "images: {highThresholdPercent: 80, lowThresholdPercent: 70, minimumAge: -1h}\n", "f:3:73: images.minimumAge: -1h is less than nothing"},
		"no port":            {configHead + "metrics: 127.0.0.1\n", `f:3:10: metrics: "127.0.0.1": want an address and a port, such as 127.0.0.1:9464`},
		"all networks":       {configHead + "metrics: :9464\n", `f:3:10: metrics: ":9464": write 127.0.0.1:9464, or 0.0.0.0:9464 to let every network read the metrics`},
		"name for address":   {configHead + "metrics: example.com:9464\n", `f:3:10: metrics: "example.com:9464": want an IP address or localhost`},
		"no such group":      {configHead + "readGroup: nosuchgroup\n", `f:3:12: readGroup: no group is called "nosuchgroup": groupadd --system nosuchgroup`},
		"relative file":      {configHead + "events: {file: events}\n", `f:3:16: events.file: "events": want an absolute path`},
		"no URL":             {configHead + "events: {webhook: {}}\n", `f:3:19: events.webhook.url: "": want an http or https URL`},
		"timeout":            {configHead + "events: {webhook: {url: 'http://x', timeout: 0s}}\n", `f:3:46: events.webhook.timeout: "0s": want a time such as 10s, of at most an hour`},
		"no secret":          {configHead + "events: {webhook: {url: 'https://x', authorizationFile: /nosuch}}\n", "f:3:57: events.webhook.authorizationFile: open /nosuch: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig("f", []byte(tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	for _, text := range []string{"metrics: 0.0.0.0:9464\n", "metrics: '[::1]:9464'\n", "metrics: localhost:9464\n", "events: {file: '-'}\n", ""} {
		if _, err := parseConfig("f", []byte(configHead+text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
