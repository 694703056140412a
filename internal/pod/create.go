package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// undoTimeout bounds the removal of a pod that could not be created.
const undoTimeout = 30 * time.Second

// ErrExists is returned when a pod of that name exists already.
var ErrExists = errors.New("a pod of that name exists")

// ErrLeft is returned when a pod could not be created and its remains could not
// be removed either. The next Open removes them.
var ErrLeft = errors.New("its remains could not be removed")

// Create creates a pod: its volumes, its sandbox, its init containers one after
// the other, and its containers. It returns once every container was started and
// its postStart hook has ended; WaitReady waits until the pod is ready. If
// anything fails, the pod is removed, or the error wraps ErrLeft. The error is an
// *ExitError if a container ended in error.
func (e *Engine) Create(ctx context.Context, spec PodSpec, events Events) (*Pod, error) {
	return e.create(ctx, spec, events, (*worker).startPod)
}

// Prepare creates a pod without its containers: its volumes and its sandbox, and it
// pulls the images. Start or Supervise creates and starts the containers. If the
// process is killed after Prepare has returned, any other process can go on, unless
// the pod is ephemeral. If anything fails, the pod is removed, or the error wraps
// ErrLeft.
func (e *Engine) Prepare(ctx context.Context, spec PodSpec, events Events) (*Pod, error) {
	return e.create(ctx, spec, events, (*worker).preparePod)
}

// create creates a pod, of which build creates everything except its record.
func (e *Engine) create(ctx context.Context, spec PodSpec, events Events, build func(*worker, context.Context) error) (*Pod, error) {
	s := translate.WithDefaults(spec)
	if err := e.validate(&s); err != nil {
		return nil, err
	}
	rec := &record{Version: recordVersion, UID: newUID(), Created: time.Now().UTC(), Owner: os.Getpid(), Spec: withoutPullSecrets(s)}
	lock, err := e.reserve(ctx, rec)
	if err != nil {
		return nil, fmt.Errorf("create pod %s/%s: %w", s.Namespace, s.Name, err)
	}
	defer lock.release()
	e.opts.step("reserved")
	w := e.newWorker(rec, events)
	w.images.spec = &s // with its imagePullSecrets
	owner, err := lockOwner(w.l, s.Ephemeral)
	if err == nil {
		err = build(w, ctx)
	}
	var p *Pod
	if err == nil {
		// A pod whose status cannot be read could not be used or removed by name
		// either, so it must not be committed.
		p, err = e.pod(ctx, rec)
	}
	e.opts.step("whole")
	if err == nil {
		err = durable.WriteFile(w.l.committed(), nil, 0o600)
	}
	if err != nil {
		if owner != nil {
			owner.release()
		}
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		err = fmt.Errorf("create pod %s/%s: %w", s.Namespace, s.Name, err)
		if left := e.deletePod(undo, rec.UID); left != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", ErrLeft, left))
		}
		return nil, err
	}
	e.opts.step("committed")
	p.owner, p.Phase = owner, e.phase(p)
	return p, nil
}

// lockOwner marks an ephemeral pod as owned by this process, until it ends.
func lockOwner(l layout, isEphemeral bool) (*fileLock, error) {
	if !isEphemeral {
		return nil, nil
	}
	return acquire(l.owner(), false)
}

// validate returns an error if the spec is invalid or this runtime cannot run it.
func (e *Engine) validate(s *PodSpec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	sc := s.Spec.SecurityContext
	strict := sc != nil && ptr.Deref(sc.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge) == corev1.SupplementalGroupsPolicyStrict
	if strict && !e.features.strictGroups {
		return fmt.Errorf("pod %s: spec.securityContext.supplementalGroupsPolicy is Strict, but this runtime cannot do that (containerd can from 2.0 on)", s.Name)
	}
	return checkHostPorts(e.Network(), s)
}

// checkHostPorts refuses a pod whose hostPorts the runtime would ignore.
func checkHostPorts(n containerd.Network, s *PodSpec) error {
	if n.HostPorts || s.Spec.HostNetwork {
		return nil
	}
	if port := translate.FirstHostPort(&s.Spec); port != "" {
		return fmt.Errorf("pod %s: host port %s: host ports do not work here: %s", s.Name, port, n.Reason)
	}
	return nil
}

// reserve creates the pod's directory and returns its lock. It returns an error
// if another pod has the same name or one of the same host ports.
func (e *Engine) reserve(ctx context.Context, rec *record) (*fileLock, error) {
	names, err := e.lockNames()
	if err != nil {
		return nil, err
	}
	defer names.release()
	if err := e.checkClaims(&rec.Spec); err != nil {
		return nil, err
	}
	uids, err := podUIDs(e.opts.Root)
	if err != nil {
		return nil, err
	}
	for _, uid := range uids {
		other, err := readRecord(newLayout(e.opts.Root, uid))
		if err != nil {
			// The pod is being removed, or its record is damaged. One damaged record
			// must not keep all other pods from being created.
			continue
		}
		if other.Spec.Namespace == rec.Spec.Namespace && other.Spec.Name == rec.Spec.Name {
			return nil, fmt.Errorf("%w, made %s by process %d; remove it first: adamant rm %s",
				ErrExists, other.Created.Local().Format(time.DateTime), other.Owner, rec.Spec.Name)
		}
		if port := translate.SharedHostPort(&rec.Spec.Spec, &other.Spec.Spec); port != "" && !exists(newLayout(e.opts.Root, uid).retired()) {
			return nil, fmt.Errorf("host port %s is pod %s/%s's", port, other.Spec.Namespace, other.Spec.Name)
		}
	}
	return writeRecord(e.opts.Root, rec)
}

// lockNames takes the lock that every process holds while it reserves the name
// of a pod.
func (e *Engine) lockNames() (*fileLock, error) {
	return acquire(filepath.Join(podsDir(e.opts.Root), ".names"), true)
}

// startPod creates everything of a pod except its record, and starts its containers.
func (w *worker) startPod(ctx context.Context) error {
	if err := w.preparePod(ctx); err != nil {
		return err
	}
	return w.startAll(ctx)
}

// preparePod creates everything of a pod except its record and its containers.
func (w *worker) preparePod(ctx context.Context) error {
	if err := os.MkdirAll(w.l.Logs(), 0o755); err != nil {
		return err
	}
	g, side := errgroup.WithContext(ctx)
	g.Go(func() error { return w.runSandbox(side) })
	g.Go(func() error { return w.prepareVolumes(side) })
	g.Go(func() error { return w.images.ensureAll(side) })
	if err := g.Wait(); err != nil {
		return err
	}
	if err := writeHosts(w.l, &w.rec.Spec, w.ips); err != nil {
		return err
	}
	if err := w.e.redirect(ctx, &w.rec.Spec, w.sandbox, w.rec.Spec.Redirects, true); err != nil {
		return fmt.Errorf("redirect connections: %w", err)
	}
	if err := w.e.cgroups.limitPIDs(w.l.UID, w.e.opts.PIDs); err != nil {
		return err
	}
	w.e.opts.step("prepared")
	// No sync: after a power failure the sandbox is gone, too.
	return os.WriteFile(w.l.prepared(), []byte(w.sandbox), 0o600)
}

// runSandbox starts the sandbox and reads its addresses.
func (w *worker) runSandbox(ctx context.Context) error {
	resp, err := w.e.cri.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: w.sandboxConfig, RuntimeHandler: w.rec.Spec.Handler})
	if err != nil {
		return err
	}
	w.sandbox = resp.PodSandboxId
	if n := w.e.Network(); n.Reason != "" && !w.rec.Spec.Spec.HostNetwork {
		w.eventf("", "NetworkLimited", "%s", n.Limits())
	}
	w.e.opts.step("sandbox")
	return w.readIPs(ctx)
}

func (e *Engine) podIPs(ctx context.Context, sandbox string) ([]string, error) {
	st, err := e.cri.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: sandbox})
	if err != nil {
		return nil, err
	}
	n := st.GetStatus().GetNetwork()
	if n.GetIp() == "" {
		return nil, nil
	}
	ips := []string{n.Ip}
	for _, more := range n.AdditionalIps {
		ips = append(ips, more.Ip)
	}
	return ips, nil
}

func (w *worker) prepareVolumes(ctx context.Context) error {
	if err := w.images.ensureVolumes(ctx); err != nil {
		return err
	}
	created, err := w.e.createVolumes(ctx, &w.rec.Spec, w.e.facts(&w.rec.Spec, w.l))
	if err != nil {
		return err
	}
	w.volumes = created
	w.e.opts.step("volumes")
	return nil
}
