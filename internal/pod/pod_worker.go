package pod

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// A worker starts, probes, restarts and stops the containers of one pod, like a
// pod worker of the kubelet. Several processes may have a worker for one pod;
// only the one that holds the pod's lock may change the pod.
type worker struct {
	podRuntime
	events    Events
	readiness *podReadiness // nil unless the pod is supervised
	starting  *starting     // likewise

	sandbox       string
	sandboxConfig *runtimeapi.PodSandboxConfig
	ips           []string
	volumes       map[string]translate.Volume
	images        *podImages
}

func (e *Engine) newWorker(rec *record, events Events) *worker {
	l := newLayout(e.opts.Root, rec.UID)
	sandbox := translate.SandboxConfig(&rec.Spec, e.facts(&rec.Spec, l))
	return &worker{
		podRuntime:    podRuntime{e: e, rec: rec, l: l},
		events:        events,
		sandboxConfig: sandbox,
		images:        &podImages{e: e, spec: &rec.Spec, sandbox: sandbox, events: events, found: map[string]translate.Image{}},
	}
}

// workerFor returns a worker for a pod that exists already.
func (e *Engine) workerFor(ctx context.Context, p *Pod, events Events) (*worker, error) {
	w := e.newWorker(p.rec, events)
	w.sandbox = p.SandboxID
	w.volumes = translate.LocateVolumes(&p.rec.Spec, e.facts(&p.rec.Spec, w.l))
	if w.sandbox == "" {
		return w, nil
	}
	return w, w.readIPs(ctx)
}

// readIPs reads the addresses of the pod: those of its sandbox, or the machine's.
func (w *worker) readIPs(ctx context.Context) (err error) {
	w.ips, err = w.e.podIPs(ctx, w.sandbox)
	if len(w.ips) == 0 && w.rec.Spec.Spec.HostNetwork {
		w.ips = w.e.node.IPs
	}
	return err
}

// facts returns the facts about a pod before its sandbox and volumes exist.
func (e *Engine) facts(s *PodSpec, l layout) translate.Facts {
	return translate.Facts{
		Layout:            l.Layout,
		Claims:            claimsDir(e.opts.Root),
		Node:              e.node,
		CgroupParent:      e.cgroups.podParent(l.UID),
		SeccompRoot:       e.opts.SeccompRoot,
		RecursiveReadOnly: e.features.recursiveReadOnly[s.Handler],
		MountsImages:      e.daemon.Client() == nil, // other runtimes mount image volumes themselves
	}
}

// facts returns the facts about the pod once its sandbox and volumes exist.
func (w *worker) facts() translate.Facts {
	f := w.e.facts(&w.rec.Spec, w.l)
	f.PodIPs, f.Volumes = w.ips, w.volumes
	return f
}

// ip returns the pod's first address, or "" if it has none.
func (w *worker) ip() string {
	if len(w.ips) == 0 {
		return ""
	}
	return w.ips[0]
}

func (w *worker) eventf(container, reason, format string, args ...any) {
	w.events.emit(&w.rec.Spec, container, reason, format, args...)
}

// startContainer creates and starts an attempt at a container, runs its postStart
// hook and returns the container's ID.
func (w *worker) startContainer(ctx context.Context, ctr *corev1.Container, attempt uint32) (string, error) {
	image, err := w.images.ensure(ctx, ctr)
	if err != nil {
		return "", &startError{"ErrImagePull", err}
	}
	plan, err := translate.PlanContainer(&w.rec.Spec, w.facts(), ctr, image, attempt)
	if err == nil {
		err = createContainerFiles(ctr.Name, w.l, plan)
	}
	if err != nil {
		return "", &startError{"CreateContainerConfigError", fmt.Errorf("container %s: %w", ctr.Name, err)}
	}
	made, err := w.e.cri.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: w.sandbox, Config: plan.Config, SandboxConfig: w.sandboxConfig})
	if err != nil {
		return "", &startError{"CreateContainerError", fmt.Errorf("container %s (image %s): %w", ctr.Name, ctr.Image, err)}
	}
	w.e.opts.step("created " + ctr.Name)
	if _, err := w.e.cri.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: made.ContainerId}); err != nil {
		return "", &startError{"RunContainerError", fmt.Errorf("container %s: %w", ctr.Name, err)}
	}
	w.eventf(ctr.Name, "Started", "started container %s", ctr.Name)
	w.e.opts.step("started " + ctr.Name)
	return made.ContainerId, w.postStart(ctx, ctr, made.ContainerId)
}

// startAll starts the pod's containers. Init containers come first, one after
// the other: each must have completed or, if it is a sidecar, have started.
func (w *worker) startAll(ctx context.Context) error {
	spec := &w.rec.Spec.Spec
	for i := range spec.InitContainers {
		if err := w.startInit(ctx, &spec.InitContainers[i]); err != nil {
			return err
		}
	}
	for i := range spec.Containers {
		if _, err := w.startContainer(ctx, &spec.Containers[i], w.l.nextAttempt(spec.Containers[i].Name)); err != nil {
			return err
		}
	}
	return nil
}

// startInit runs an init container until it succeeds, or starts a sidecar.
func (w *worker) startInit(ctx context.Context, ctr *corev1.Container) error {
	id, err := w.startContainer(ctx, ctr, w.l.nextAttempt(ctr.Name))
	if err != nil {
		return err
	}
	if translate.IsSidecar(ctr) {
		return w.waitStarted(ctx, ctr)
	}
	if err := w.waitSuccess(ctx, ctr, id); err != nil {
		return err
	}
	w.eventf(ctr.Name, "Completed", "init container %s completed", ctr.Name)
	return nil
}

// waitSuccess waits until a container has ended. It returns an *ExitError if the
// exit code is not 0.
func (w *worker) waitSuccess(ctx context.Context, ctr *corev1.Container, id string) error {
	st, err := w.waitExit(ctx, id)
	if err != nil {
		return err
	}
	if st.ExitCode != 0 {
		return exitError(w.l, ctr, st)
	}
	return nil
}
