package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/servers/connect"
)

// A Deployer runs workloads instead of a server.
type Deployer interface {
	// Load loads the archive of an image.
	Load(ctx context.Context, archive string) error
	// Deploy applies the content of a manifest file and waits until the rollouts are
	// complete, at most for timeout. It returns the Services of the workloads.
	Deploy(ctx context.Context, file string, content []byte, timeout time.Duration) ([]Endpoint, error)
}

// An Endpoint is the address of a Service on this machine.
type Endpoint struct {
	Name    string
	Address string // host:port
	Err     string // why it has none
}

// A Replacement configures the replacement of a server.
type Replacement struct {
	Host    Host
	Dir     string        // that Capture wrote
	Timeout time.Duration // for the rollouts, and again for the Services
	By      Deployer
	Options Options
}

// ErrNoPlan is returned when a directory has no plan of a capture.
var ErrNoPlan = errors.New("nothing was captured")

// A Replaced is the result of a replacement.
type Replaced struct {
	Answered  []string // Services that answer, with their addresses
	Connected int      // connections to the services of the old server
}

// Replace deploys a captured server and waits until each Service answers. It changes
// nothing on the old server and counts the connections to its services.
func Replace(ctx context.Context, r Replacement) (Replaced, error) {
	var result Replaced
	text, err := os.ReadFile(filepath.Join(r.Dir, "plan.json"))
	if err != nil {
		return result, fmt.Errorf("%w: %w", ErrNoPlan, err)
	}
	var plan CapturePlan
	if err := json.Unmarshal(text, &plan); err != nil {
		return result, fmt.Errorf("read plan: %w", err)
	}
	if err := r.By.Load(ctx, filepath.Join(r.Dir, "image.tar")); err != nil {
		return result, err
	}
	endpoints, err := r.deploy(ctx)
	if err != nil {
		return result, err
	}
	if result.Answered, err = r.waitFor(ctx, endpoints); err != nil {
		return result, err
	}
	result.Connected, err = r.connections(ctx, plan)
	return result, err
}

func (r *Replacement) deploy(ctx context.Context) ([]Endpoint, error) {
	file := filepath.Join(r.Dir, "manifest.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secrets, err := os.ReadFile(filepath.Join(r.Dir, "secrets.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return r.By.Deploy(ctx, file, bytes.Join([][]byte{content, secrets}, []byte("\n---\n")), r.Timeout)
}

// waitFor connects to each Service until it answers.
func (r *Replacement) waitFor(ctx context.Context, endpoints []Endpoint) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	var answered []string
	for _, e := range endpoints {
		if e.Err != "" {
			return answered, fmt.Errorf("service %s: %s", e.Name, e.Err)
		}
		if err := waitUntilServing(ctx, e.Address); err != nil {
			return answered, fmt.Errorf("service %s at %s does not answer: %w", e.Name, e.Address, err)
		}
		answered = append(answered, e.Name+" at "+e.Address)
	}
	return answered, nil
}

// waitUntilServing waits until a connection is accepted and kept open.
func waitUntilServing(ctx context.Context, address string) error {
	for {
		err := dial(ctx, address)
		if err == nil {
			return nil
		}
		if clock.Sleep(ctx, 200*time.Millisecond) != nil {
			return err
		}
	}
}

// minOpen is how long a connection must stay open. A balancer accepts every
// connection, and closes those for which it has no instance.
const minOpen = 500 * time.Millisecond

func dial(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(minOpen)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // the server waits for the client to send first
	}
	return err
}

// connections counts the connections to the server's services.
func (r *Replacement) connections(ctx context.Context, plan CapturePlan) (int, error) {
	l, err := connect.Connect(ctx, r.Host, r.Options.Options)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	args := []string{"part", "connections"}
	for _, s := range plan.Services {
		for _, p := range s.Ports {
			args = append(args, "--port", strconv.Itoa(int(p.Number)))
		}
	}
	text, err := l.Ask(ctx, args)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("count the connections to %s: %w", r.Host.Name, err)
	}
	return n, nil
}
