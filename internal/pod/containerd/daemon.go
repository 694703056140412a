package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/client"

	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// Namespace is the one of containerd's namespaces that CRI's images and
// containers are in.
const Namespace = "k8s.io"

// Options configures the private containerd. The zero value is right
// for a machine's one instance.
type Options struct {
	Root  string // DefaultRoot if empty
	State string // DefaultState if empty

	// Executable is what the runtime handler "learn" calls in place of runc,
	// see Wrapped; runc itself if empty. containerd 2 also calls it when it
	// starts, to ask for its features.
	Executable string
}

// A Daemon is a connection to a container runtime: the private containerd, or
// another that was already there. It is safe for concurrent use.
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

// Start connects to the private containerd, and starts it first where it does
// not run or runs with settings of the past. Several processes may do so at
// once. When it returns, pods can be made; the daemon outlives this process.
// An error of missing programs is a *MissingError.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	l, err := newLayout(o.Root, o.State)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("start containerd: only root may (try sudo)")
	}
	if _, ok := Wrapped(); ok { // each would start the next one without end
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
	d.executable = o.Executable
	return d, nil
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
		err = d.sweepViews(ctx) // the views of before a reboot
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

// Close ends the connection. The daemon and its pods go on.
func (d *Daemon) Close() error {
	var err error
	if d.client != nil {
		err = d.client.Close()
	}
	return errors.Join(err, d.cri.Close())
}

// CRI returns the runtime's CRI client. It lives as long as d.
func (d *Daemon) CRI() *cri.Client { return d.cri }

// Client returns the client of containerd in Namespace, or nil if the runtime
// is another. It lives as long as d.
func (d *Daemon) Client() *client.Client { return d.client }

// Private tells whether the daemon is Adamant's own: it then has the runtime
// handler "learn", the settings of this package, and nobody else's pods.
func (d *Daemon) Private() bool { return d.private }

// Network returns what the pods' network can do. It is only known of a
// private daemon; for others everything is reported as working.
func (d *Daemon) Network() Network { return d.network }

// Snapshotter returns the name of the snapshotter of the containers' root
// file systems, "overlayfs" wherever the kernel can; "" if not containerd.
func (d *Daemon) Snapshotter() string { return d.snapshotter }

// SystemdCgroups tells whether a pod's cgroup parent is named as systemd
// does, "adamant.slice", and not as a path, "/adamant".
func (d *Daemon) SystemdCgroups() bool { return d.systemd }
