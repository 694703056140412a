package main

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

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers/capture"
	visit "github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

func newServersReplaceCommand(a *app) *cobra.Command {
	var w which
	var from string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "replace SERVER --from DIR",
		Short: "Run what was captured of a server in its place",
		Long: `Replace loads the image that capture wrote into DIR, applies its manifest with the
daemon on this machine (adamant serve), waits for the rollouts, and asks each
Service whether it answers. Edit the manifest before, seal it, prove it: what is
there is applied.

It changes nothing on the server. At the end it says who is still connected to
it: traffic moves when names or balancers point to the new address. A server that
nobody is connected to is reported as ready to be removed; if somebody is, it
exits 3.`,
		Example: `  adamant servers capture -i hosts.ini web-1 --out captured
  adamant seal captured/manifest.yaml -w
  adamant servers replace -i hosts.ini web-1 --from captured`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return usagef("say what was captured with --from DIR")
			}
			hosts, err := w.hosts(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			if len(hosts) != 1 {
				return usagef("%s are %d servers; one is replaced at a time", args[0], len(hosts))
			}
			r := replacing{app: a, which: &w, host: hosts[0], dir: from, timeout: timeout}
			return r.do(cmd)
		},
	}
	w.reachFlags(cmd)
	cmd.Flags().StringVar(&from, "from", "", "directory that capture wrote")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long the rollouts and the Services may take")
	return cmd
}

// replacing is a replacement that goes on.
type replacing struct {
	app     *app
	which   *which
	host    inventory.Host
	dir     string
	timeout time.Duration
	plan    capture.Plan
}

func (r *replacing) do(cmd *cobra.Command) error {
	ctx := cmd.Context()
	text, err := os.ReadFile(filepath.Join(r.dir, "plan.json"))
	if err != nil {
		return hint{err, "adamant servers capture SERVER --out DIR writes it"}
	}
	if err := json.Unmarshal(text, &r.plan); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	if err := r.load(cmd); err != nil {
		return err
	}
	statuses, err := r.apply(ctx)
	if err != nil {
		return err
	}
	answered, err := r.ask(ctx, statuses)
	if err != nil {
		return err
	}
	open, err := r.connected(ctx)
	if err != nil {
		return err
	}
	return r.print(answered, open)
}

func (r *replacing) load(cmd *cobra.Command) error {
	e, err := r.app.open(cmd.Context())
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = r.app.loadOne(cmd, e, filepath.Join(r.dir, "image.tar"), "")
	return err
}

// apply declares what was captured, and waits until it runs.
func (r *replacing) apply(ctx context.Context) ([]local.Status, error) {
	file := filepath.Join(r.dir, "manifest.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secrets, err := os.ReadFile(filepath.Join(r.dir, "secrets.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c := r.app.client()
	defer c.Close()
	out, err := c.Apply(ctx, api.ApplyRequest{File: file, Content: bytes.Join([][]byte{content, secrets}, []byte("\n---\n"))})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	watcher := r.app.newWatcher(c)
	var list []local.Status
	for _, res := range out.Results {
		if res.Generation == 0 {
			continue
		}
		s, err := watcher.watch(ctx, local.Key{Namespace: res.Namespace, Kind: res.Kind, Name: res.Name})
		if err != nil {
			return nil, err
		}
		if s.Phase != rollout.Complete {
			return nil, fmt.Errorf("%s/%s is %s: %s", res.Kind, res.Name, s.Phase, s.Reason)
		}
		list = append(list, s)
	}
	return list, nil
}

// ask connects to each Service until it answers.
func (r *replacing) ask(ctx context.Context, statuses []local.Status) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var answered []string
	for _, s := range statuses {
		for _, svc := range s.Services {
			if svc.Err != "" {
				return answered, fmt.Errorf("service %s: %s", svc.Name, svc.Err)
			}
			if err := answers(ctx, svc.Address); err != nil {
				return answered, fmt.Errorf("service %s at %s does not answer: %w", svc.Name, svc.Address, err)
			}
			answered = append(answered, svc.Name+" at "+svc.Address)
		}
	}
	return answered, nil
}

// answers waits until a connection is taken and kept: a balancer takes them all,
// and closes those that nobody is behind.
func answers(ctx context.Context, address string) error {
	for {
		err := connect(ctx, address)
		if err == nil {
			return nil
		}
		if clock.Sleep(ctx, 200*time.Millisecond) != nil {
			return err
		}
	}
}

// kept is how long a connection must be kept.
const kept = 500 * time.Millisecond

func connect(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(kept)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // it waits for the client to speak
	}
	return err
}

// connected counts who is connected to the server's services.
func (r *replacing) connected(ctx context.Context) (int, error) {
	o, err := r.which.visits(r.app)
	if err != nil {
		return 0, err
	}
	l, err := visit.Connect(ctx, r.host, o)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	args := []string{"part", "connections"}
	for _, s := range r.plan.Services {
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
		return 0, fmt.Errorf("ask who is connected to %s: %w", r.host.Name, err)
	}
	return n, nil
}

func (r *replacing) print(answered []string, open int) error {
	if r.app.json() {
		if answered == nil {
			answered = []string{}
		}
		if err := r.app.printJSON(report.ServerReplacement{
			Header: document.NewHeader(document.ServerReplacement), Server: r.host.Name, Services: answered, Connected: open, Removable: open == 0,
		}); err != nil {
			return err
		}
	} else {
		for _, s := range answered {
			fmt.Fprintln(r.app.out, text.EscapeLines(s+" answers in its place"))
		}
		if open == 0 {
			fmt.Fprintln(r.app.out, text.EscapeLines(r.host.Name+" is ready to be removed: nobody is connected to its services"))
		} else {
			fmt.Fprintln(r.app.out, text.EscapeLines(fmt.Sprintf("%s is still in use: %d connections to its services; point their names or balancers to the new addresses", r.host.Name, open)))
		}
	}
	if open > 0 {
		return exitWith(report.Findings)
	}
	return nil
}
