package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/client"

	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// Namespace is the containerd namespace of the images and containers of CRI.
const Namespace = "k8s.io"

// Options configures the private containerd. The zero value is the machine's
// default instance.
type Options struct {
	Root  string // DefaultRoot if empty
	State string // DefaultState if empty

	// Executable is the program that the runtime handler "learn" calls in place
	// of runc, see Wrapped; runc itself if empty. containerd 2 also calls it
	// when it starts, with the command "features".
	Executable string
}

// A Daemon is a connection to a container runtime: the private containerd, or
// another one that was already running. It is safe for concurrent use.
type Daemon struct {
	cri    *cri.Client
	client *client.Client // nil if the runtime is not containerd

	private     bool
	executable  string // of a private one, see Options
	layout      layout // of a private one
	snapshotter string
	network     Network
	systemd     bool
}

// Start connects to the private containerd. It starts the daemon first if it
// does not run, and restarts it if it runs with outdated settings. Several
// processes may call Start at the same time. When it returns, pods can be
// created; the daemon outlives this process. The error is a *MissingError if
// programs are missing.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	l, err := newLayout(o.Root, o.State)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("start containerd: only root may (try sudo)")
	}
	if _, ok := Wrapped(); ok { // the new containerd would call this program again, without end
		return nil, fmt.Errorf("start containerd: called as %s, this program has to act as runc", runcWrapper)
	}
	if err := l.mkdirs(); err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, l.lock())
	if err != nil {
		return nil, err
	}
	defer unlock()
	d, err := start(ctx, l, o.Executable)
	if err != nil {
		return nil, fmt.Errorf("start containerd in %s: %w", l.root, err)
	}
	if err := d.keepServices(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.executable = o.Executable
	return d, nil
}

// keepServices adds the route to the addresses of Services, which a reboot removes.
func (d *Daemon) keepServices() error {
	if !d.network.Services.IsValid() {
		return nil
	}
	return addLocalRoute(d.network.Services)
}

// start is Start with the lock of the layout held.
func start(ctx context.Context, l layout, executable string) (*Daemon, error) {
	if err := trimLog(l.log()); err != nil {
		return nil, err
	}
	if d := reconnect(ctx, l, executable); d != nil {
		return d, nil
	}
	s, n, err := prepare(ctx, l, executable)
	if err != nil {
		return nil, err
	}
	if err := launch(ctx, s); err != nil {
		return nil, err
	}
	d, err := open(ctx, record{Network: n, Snapshotter: s.snapshotter, Systemd: s.systemd}, l)
	if err != nil {
		return nil, err
	}
	err = d.ensurePause(ctx)
	if err == nil {
		err = d.sweepViews(ctx) // those from before a reboot
	}
	if err == nil {
		err = d.removeUnfinished(ctx)
	}
	if err == nil {
		err = d.writeRecord(s.binaries, executable)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// open connects to the running daemon of a layout.
func open(ctx context.Context, r record, l layout) (*Daemon, error) {
	runtime, err := cri.Dial(ctx, "unix://"+l.socket())
	if err != nil {
		return nil, err
	}
	c, err := client.New(l.socket(), client.WithDefaultNamespace(Namespace))
	if err != nil {
		runtime.Close()
		return nil, fmt.Errorf("connect to %s: %w", l.socket(), err)
	}
	return &Daemon{
		cri: runtime, client: c, private: true, layout: l,
		snapshotter: r.Snapshotter, network: r.Network, systemd: r.Systemd,
	}, nil
}

// Close closes the connection. The daemon and its pods keep running.
func (d *Daemon) Close() error {
	var err error
	if d.client != nil {
		err = d.client.Close()
	}
	return errors.Join(err, d.cri.Close())
}

// CRI returns the runtime's CRI client, which is valid until d is closed.
func (d *Daemon) CRI() *cri.Client { return d.cri }

// Client returns the client of containerd in Namespace, which is valid until d
// is closed. It is nil if the runtime is not containerd.
func (d *Daemon) Client() *client.Client { return d.client }

// Private reports whether the daemon is Adamant's own containerd, with the
// runtime handler "learn", the settings of this package, and no other pods.
func (d *Daemon) Private() bool { return d.private }

// Network returns the features of the pods' network. They are known only for a
// private daemon; for others everything is reported as working.
func (d *Daemon) Network() Network { return d.network }

// Snapshotter returns the name of the snapshotter of the containers' root file
// systems: "overlayfs" if the kernel supports it, "" if the runtime is not
// containerd.
func (d *Daemon) Snapshotter() string { return d.snapshotter }

// SystemdCgroups reports whether the cgroup parent of a pod is the name of a
// systemd slice, "adamant.slice", and not a path, "/adamant".
func (d *Daemon) SystemdCgroups() bool { return d.systemd }
