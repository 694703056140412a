package api

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/event"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// DefaultConfig is the configuration file that the daemon reads if it exists.
const DefaultConfig = "/etc/adamant/serve.yaml"

// A Config is the configuration file of the daemon. Flags take the place of its fields.
type Config struct {
	document.Header
	DataDir         string       `json:"dataDir,omitempty"`         // as --data-dir; takes effect when the daemon starts
	StateDir        string       `json:"stateDir,omitempty"`        // as --state-dir; takes effect when the daemon starts
	RuntimeEndpoint string       `json:"runtimeEndpoint,omitempty"` // as --runtime-endpoint; takes effect when the daemon starts
	Metrics         string       `json:"metrics,omitempty"`         // address for /metrics, "127.0.0.1:9464"; empty for the daemon's socket only
	ReadGroup       string       `json:"readGroup,omitempty"`       // group whose members may read: get, status, drift, events, rollout status and history
	Events          EventsConfig `json:"events,omitzero"`
	// Images sets when images that nothing uses are removed. If it is not set, none is.
	Images *ImagesConfig `json:"images,omitempty"`
}

// An ImagesConfig is when images are removed that no pod uses, and no generation that may
// run again. The names are those of a kubelet's configuration.
type ImagesConfig struct {
	HighThresholdPercent int    `json:"highThresholdPercent"` // use of the data directory's disk beyond which images are removed, the oldest first
	LowThresholdPercent  int    `json:"lowThresholdPercent"`  // use at which no more are removed
	MinimumAge           string `json:"minimumAge,omitempty"` // of images that are removed, since they were loaded or pulled; "24h" by default
}

const defaultImageAge = 24 * time.Hour

// policy returns the policy of the controller, nil for none.
func (c *ImagesConfig) policy() (*local.ImagePolicy, error) {
	if c == nil {
		return nil, nil
	}
	age, err := c.age()
	return &local.ImagePolicy{High: c.HighThresholdPercent, Low: c.LowThresholdPercent, MinimumAge: age}, err
}

func (c *ImagesConfig) age() (time.Duration, error) {
	if c.MinimumAge == "" {
		return defaultImageAge, nil
	}
	age, err := time.ParseDuration(c.MinimumAge)
	if err == nil && age < 0 {
		err = fmt.Errorf("%s is less than nothing", c.MinimumAge)
	}
	return age, err
}

func (c *ImagesConfig) checks() []configCheck {
	percent := func(n int) func() error {
		return func() error {
			if n < 1 || n > 100 {
				return fmt.Errorf("%d is no percentage: want 1 to 100", n)
			}
			return nil
		}
	}
	return []configCheck{
		{[]string{"images", "highThresholdPercent"}, percent(c.HighThresholdPercent)},
		{[]string{"images", "lowThresholdPercent"}, percent(c.LowThresholdPercent)},
		{[]string{"images", "lowThresholdPercent"}, func() error {
			if c.LowThresholdPercent >= c.HighThresholdPercent {
				return fmt.Errorf("%d is not less than highThresholdPercent, %d", c.LowThresholdPercent, c.HighThresholdPercent)
			}
			return nil
		}},
		{[]string{"images", "minimumAge"}, func() error { _, err := c.age(); return err }},
	}
}

// An EventsConfig is where events are delivered.
type EventsConfig struct {
	File    string         `json:"file,omitempty"` // gets a line of JSON for each event; "-" is standard output
	Webhook *WebhookConfig `json:"webhook,omitempty"`
}

// A WebhookConfig is a URL to which events are posted.
type WebhookConfig struct {
	URL               string `json:"url"`                         // http or https
	AuthorizationFile string `json:"authorizationFile,omitempty"` // file with the value of the header Authorization, such as "Bearer TOKEN"
	Timeout           string `json:"timeout,omitempty"`           // of a request, "10s" by default
}

// maxConfig is the size limit of a configuration file, in bytes.
const maxConfig = 1 << 20

// LoadConfig reads and checks a configuration file. A missing one is empty if it is the
// default one, which path "" stands for.
func LoadConfig(path string) (Config, error) {
	name := cmp.Or(path, DefaultConfig)
	f, err := os.Open(name)
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxConfig)
	}
	if err != nil {
		return Config{}, err
	}
	return parseConfig(name, data)
}

func parseConfig(name string, data []byte) (Config, error) {
	var c Config
	o, err := manifest.Decode(name, data, &c)
	if err != nil {
		return Config{}, err
	}
	if c.APIVersion != document.APIVersion {
		return Config{}, o.Fail(fmt.Sprintf("%q", c.APIVersion), "want "+document.APIVersion, "apiVersion")
	}
	if c.Kind != document.ServeConfig {
		return Config{}, o.Fail(fmt.Sprintf("%q", c.Kind), "want "+document.ServeConfig, "kind")
	}
	for _, f := range c.checks() {
		if err := f.check(); err != nil {
			return Config{}, o.Fail(err.Error(), "", f.path...)
		}
	}
	return c, nil
}

// Check returns an error for the first invalid value.
func (c Config) Check() error {
	for _, f := range c.checks() {
		if err := f.check(); err != nil {
			return err
		}
	}
	return nil
}

// A configCheck checks one field.
type configCheck struct {
	path  []string
	check func() error
}

func (c Config) checks() []configCheck {
	list := []configCheck{
		{[]string{"dataDir"}, func() error { return checkPath(c.DataDir) }},
		{[]string{"stateDir"}, func() error { return checkPath(c.StateDir) }},
		{[]string{"metrics"}, func() error { return checkMetrics(c.Metrics) }},
		{[]string{"readGroup"}, func() error { _, err := groupID(c.ReadGroup); return err }},
		{[]string{"events", "file"}, func() error {
			if c.Events.File == "-" {
				return nil
			}
			return checkPath(c.Events.File)
		}},
	}
	if c.Images != nil {
		list = append(list, c.Images.checks()...)
	}
	w := c.Events.Webhook
	if w == nil {
		return list
	}
	return append(list,
		configCheck{[]string{"events", "webhook", "timeout"}, func() error { _, err := w.timeout(); return err }},
		configCheck{[]string{"events", "webhook", "url"}, func() error { _, err := w.sink(); return err }},
		configCheck{[]string{"events", "webhook", "authorizationFile"}, func() error {
			if w.AuthorizationFile == "" {
				return nil
			}
			if err := checkPath(w.AuthorizationFile); err != nil {
				return err
			}
			_, err := event.ReadAuthorization(w.AuthorizationFile)
			return err
		}},
	)
}

func checkPath(path string) error {
	if path != "" && !filepath.IsAbs(path) {
		return fmt.Errorf("%q: want an absolute path", path)
	}
	return nil
}

// checkMetrics checks an address for metrics. An address without a host would be that of
// all networks, which must not be what somebody gets who only wrote a port.
func checkMetrics(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || portErr != nil || n == 0:
		return fmt.Errorf("%q: want an address and a port, such as 127.0.0.1:9464", address)
	case host == "":
		return fmt.Errorf("%q: write 127.0.0.1:%s, or 0.0.0.0:%s to let every network read the metrics", address, port, port)
	case host != "localhost" && net.ParseIP(host) == nil:
		return fmt.Errorf("%q: want an IP address or localhost", address)
	}
	return nil
}

// groupID returns the number of a group, which may be given as a number; -1 for "".
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, fmt.Errorf("no group is called %q: groupadd --system %s", name, name)
	}
	return strconv.Atoi(g.Gid)
}

func (w *WebhookConfig) timeout() (time.Duration, error) {
	if w.Timeout == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(w.Timeout)
	if err != nil || d <= 0 || d > time.Hour {
		return 0, fmt.Errorf("%q: want a time such as 10s, of at most an hour", w.Timeout)
	}
	return d, nil
}

func (w *WebhookConfig) sink() (*event.Webhook, error) {
	timeout, err := w.timeout()
	if err != nil {
		return nil, err
	}
	return event.NewWebhook(event.WebhookOptions{URL: w.URL, AuthorizationFile: w.AuthorizationFile, Timeout: timeout})
}
