package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// ServeOptions configures Serve.
type ServeOptions struct {
	Socket   string
	Engine   *pod.Engine
	Balancer []string // program and arguments of the process that balances the traffic of Services; see package balancer
	Config   Config
	Reload   func() (Config, error)           // reads the configuration again at SIGHUP
	Stdout   io.Writer                        // for events, if the configuration wants them there
	Say      func(format string, args ...any) // gets each message, one line
}

// A daemon is a running Serve.
type daemon struct {
	ServeOptions
	controller *local.Controller
	server     *Server
	sinks      *sinks
	metrics    http.Handler
	port       *metricsPort
}

// Serve is a daemon: it keeps the declared workloads of an engine running and
// answers requests on a socket until ctx ends. SIGHUP has it read its configuration
// again.
func Serve(ctx context.Context, o ServeOptions) error {
	reload := make(chan os.Signal, 1)
	signal.Reset(syscall.SIGHUP) // it ends other commands
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	d, err := start(ctx, o)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		for {
			select {
			case <-reload:
				d.reload()
			case <-ctx.Done():
				return
			}
		}
	}()
	err = d.server.Run(ctx, func() { o.Say("serving at %s", o.Socket) }, func() { o.Say("ending; the pods go on") })
	end()
	<-reloaded
	return errors.Join(err, d.close())
}

func start(ctx context.Context, o ServeOptions) (*daemon, error) {
	d := &daemon{ServeOptions: o}
	b, err := balancer.Open(ctx, balancer.Options{Dir: local.BalancerDir(filepath.Dir(o.Socket)), Command: o.Balancer, Log: d.report})
	if err != nil {
		return nil, err
	}
	if d.controller, err = local.Open(ctx, local.Options{Engine: o.Engine, Balancer: b, Log: d.report}); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	d.sinks = &sinks{log: d.controller.EventLog(), stdout: o.Stdout, report: d.report}
	d.metrics = metricsHandler(func() (reading, error) { return readController(d.controller, d.sinks.counts()) })
	if d.server, err = Listen(o.Socket, d.controller, d.metrics); err == nil {
		err = d.configure(o.Config)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *daemon) report(err error) { d.Say("%v", err) }

// configure puts the configuration into effect, except what only a start can. What may fail
// comes first, so that an error changes nothing.
func (d *daemon) configure(c Config) error {
	group, err := groupID(c.ReadGroup)
	if err != nil {
		return err
	}
	images, err := c.Images.policy()
	if err != nil {
		return err
	}
	if err := d.setMetrics(c.Metrics); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err := d.server.SetReaders(group); err != nil {
		return err
	}
	if err := d.sinks.set(c.Events); err != nil {
		return fmt.Errorf("deliver events: %w", err)
	}
	d.controller.SetImagePolicy(images)
	return nil
}

// setMetrics opens the port for metrics, and then closes the one that was open.
func (d *daemon) setMetrics(address string) error {
	if d.port != nil && d.port.address == address {
		return nil
	}
	var next *metricsPort
	if address != "" {
		var err error
		if next, err = listenMetrics(address, d.metrics); err != nil {
			return err
		}
	}
	before := d.port
	d.port = next
	return before.close()
}

// reload reads the configuration again. One that is invalid changes nothing.
func (d *daemon) reload() {
	c, err := d.Reload()
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		d.Say("the configuration was not read again: %v", err)
		return
	}
	if c.DataDir != d.Config.DataDir || c.StateDir != d.Config.StateDir || c.RuntimeEndpoint != d.Config.RuntimeEndpoint {
		d.Say("dataDir, stateDir and runtimeEndpoint take effect when the daemon is started again")
	}
	if err := d.configure(c); err != nil {
		d.Say("the configuration was not read again: %v", err)
		return
	}
	d.Say("the configuration was read again")
}

func (d *daemon) close() error {
	d.sinks.close() // before the store that it reads
	errs := []error{d.port.close()}
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	return errors.Join(append(errs, d.controller.Close())...)
}
