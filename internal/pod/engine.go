package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/translate"
	"github.com/adamant-sh/adamant/internal/text"
)

// Options configures an Engine. The zero value uses the machine's private
// containerd.
type Options struct {
	Root  string // images and pods; containerd.DefaultRoot if empty
	State string // sockets and mounts, removed by a reboot; containerd.DefaultState if empty

	// RuntimeEndpoint is the socket of a CRI runtime that is already running. If
	// empty, the private containerd is used, and started if it does not run.
	RuntimeEndpoint string
	// Executable is the program that the runtime handler "learn" calls instead
	// of runc; empty for this program.
	Executable string
	// SeccompRoot is the directory of the seccomp profiles of type Localhost; the
	// kubelet's /var/lib/kubelet/seccomp if empty.
	SeccompRoot string
	// Pull pulls images with the pull policy Always even if they are in the
	// store. Without it images that were loaded need no registry.
	Pull bool
	// PIDs is the maximum number of processes and threads of a pod: 4096 if 0, no
	// limit if negative. It does not apply with RuntimeEndpoint.
	PIDs int64

	step func(string) // called at named steps, at which tests kill the process
}

// An Engine runs pods. It is safe for concurrent use. Several processes may have
// an Engine with the same Root at the same time.
type Engine struct {
	opts     Options
	daemon   *containerd.Daemon
	cri      *cri.Client
	node     translate.Node
	cgroups  cgroups
	features features
	stopping sync.Map // of channels, by the UID of each pod that is supervised here
	killed   sync.Map // containers that Kill ended and whose supervisor has not seen it yet, by ID
	deleting chan struct{}
}

// maxDeletes bounds the number of pods that are deleted at the same time. It is
// low because deletion is not urgent, as the pods have been stopped, and pods
// that are being created need the CPU.
const maxDeletes = 1

// features are the features of a runtime beyond the first version of CRI.
type features struct {
	recursiveReadOnly map[string]bool // by runtime handler
	strictGroups      bool            // supplementalGroupsPolicy
	known             bool            // the runtime reports its features
}

// Open connects to the runtime, starting the private one if needed, and removes
// the remains of pods whose creator or remover was killed.
func Open(ctx context.Context, opts Options) (*Engine, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	if err := os.MkdirAll(podsDir(opts.Root), 0o750); err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	daemon, err := openDaemon(ctx, opts)
	if err != nil {
		return nil, err
	}
	e := &Engine{opts: opts, daemon: daemon, cri: daemon.CRI(), node: thisNode(opts.Root), cgroups: cgroups{cgroupRoot(daemon, opts.Root)}, deleting: make(chan struct{}, maxDeletes)}
	if err := e.probeFeatures(ctx); err != nil {
		return nil, errors.Join(err, daemon.Close())
	}
	if err := e.Recover(ctx); err != nil {
		return nil, errors.Join(err, daemon.Close())
	}
	return e, nil
}

func (o Options) withDefaults() (_ Options, err error) {
	if o.Root == "" {
		o.Root = containerd.DefaultRoot
	}
	if o.Root, err = containerd.RealPath(o.Root); err != nil {
		return o, err
	}
	if o.SeccompRoot == "" {
		o.SeccompRoot = "/var/lib/kubelet/seccomp"
	}
	if o.PIDs == 0 {
		o.PIDs = 4096
	}
	if o.step == nil {
		o.step = func(string) {}
	}
	return o, nil
}

func openDaemon(ctx context.Context, opts Options) (*containerd.Daemon, error) {
	if opts.RuntimeEndpoint != "" {
		return containerd.Connect(ctx, opts.RuntimeEndpoint, opts.State)
	}
	return containerd.Start(ctx, containerd.Options{Root: opts.Root, State: opts.State, Executable: opts.Executable})
}

// Close ends the connection to the runtime. The pods keep running.
func (e *Engine) Close() error { return e.daemon.Close() }

// Daemon returns the runtime of the pods, which is valid until e is closed. It is
// for the tests and benchmarks of other packages.
func (e *Engine) Daemon() *containerd.Daemon { return e.daemon }

// Network returns the pods' network. Its addresses are zero if the runtime is not the
// private one.
func (e *Engine) Network() containerd.Network { return e.daemon.Network() }

// Ensure checks that the runtime works, which takes one call. It restarts the
// private containerd if that ended or hangs; the pods keep running, and the
// connections of e work again when it returns nil. Another runtime is only
// checked. Ensure is safe for concurrent use.
func (e *Engine) Ensure(ctx context.Context) error {
	if err := e.daemon.Ensure(ctx); err != nil {
		return fmt.Errorf("ensure runtime: %w", err)
	}
	return nil
}

// Root returns the directory of the pods' state.
func (e *Engine) Root() string { return e.opts.Root }

func (e *Engine) probeFeatures(ctx context.Context) error {
	st, err := e.cri.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		return err
	}
	e.features.recursiveReadOnly = map[string]bool{}
	for _, h := range st.RuntimeHandlers {
		e.features.known = true
		e.features.recursiveReadOnly[h.Name] = h.GetFeatures().GetRecursiveReadOnlyMounts()
	}
	e.features.strictGroups = st.GetFeatures().GetSupplementalGroupsPolicy()
	return nil
}

// An Event reports a change of a pod.
type Event struct {
	Time      time.Time
	Pod       string // namespace/name
	Container string // empty if it is about the whole pod
	Reason    string // one word, as Kubernetes names it: Pulled, Started, Unhealthy, BackOff, Killing
	Message   string
}

// String returns the event as one line. A pod of the namespace "default" is shown
// without its namespace.
func (e Event) String() string {
	who := e.Pod
	if e.Container != "" {
		who += " " + e.Container
	}
	return fmt.Sprintf("%s  %-12s %s", strings.TrimPrefix(who, "default/"), e.Reason, text.EscapeLines(e.Message))
}

// Events is called with each event. It must not block. A nil one drops events.
type Events func(Event)

func (ev Events) emit(s *PodSpec, container, reason, format string, args ...any) {
	if ev != nil {
		ev(Event{Time: time.Now(), Pod: s.Namespace + "/" + s.Name, Container: container, Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
}
