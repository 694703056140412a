package pod

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// care is one process's hold on one pod: what it needs to start, probe,
// restart and stop the pod's containers.
type care struct {
	e      *Engine
	rec    *record
	l      layout
	events Events

	readiness *podReadiness // told by whoever supervises the pod; may be nil
	patient   bool          // waits for a runtime that does not answer, see patiently

	sandbox       string
	sandboxConfig *runtimeapi.PodSandboxConfig
	ips           []string
	volumes       map[string]hostVolume
	images        map[string]imageInfo // by reference
}

func (e *Engine) newCare(rec *record, events Events) *care {
	l := newLayout(e.opts.Root, rec.UID)
	return &care{
		e: e, rec: rec, l: l, events: events,
		sandboxConfig: sandboxConfig(&rec.Spec, l, e.node),
		images:        map[string]imageInfo{},
	}
}

// takeCare takes hold of a pod that is there already.
func (e *Engine) takeCare(ctx context.Context, p *Pod, events Events) (*care, error) {
	c := e.newCare(p.rec, events)
	c.sandbox = p.SandboxID
	c.volumes = c.volumeSet().locate()
	if c.sandbox == "" {
		return c, nil
	}
	var err error
	c.ips, err = e.podIPs(ctx, c.sandbox)
	if len(c.ips) == 0 && p.rec.Spec.Spec.HostNetwork {
		c.ips = e.node.ips
	}
	return c, err
}

func (c *care) volumeSet() *volumeSet {
	return &volumeSet{spec: &c.rec.Spec, l: c.l, facts: c.e.node.facts(c.l.uid, nil), images: c.e.mountsImages()}
}

func (c *care) facts() facts { return c.e.node.facts(c.l.uid, c.ips) }

func (c *care) say(container, reason, format string, args ...any) {
	c.events.say(&c.rec.Spec, container, reason, format, args...)
}

func (c *care) findImage(ctx context.Context, ctr *corev1.Container) error {
	if _, ok := c.images[ctr.Image]; ok {
		return nil
	}
	info, err := c.e.ensureImage(ctx, &c.rec.Spec, ctr.Image, ctr.ImagePullPolicy, c.sandboxConfig, c.events)
	if err != nil {
		return fmt.Errorf("container %s: %w", ctr.Name, err)
	}
	c.images[ctr.Image] = info
	return nil
}

// startContainer makes and starts a container and runs its postStart hook, as
// its attempt-th start. It returns the container's id also if the hook fails.
func (c *care) startContainer(ctx context.Context, ctr *corev1.Container, attempt uint32) (string, error) {
	if err := c.findImage(ctx, ctr); err != nil {
		return "", err
	}
	plan := containerPlan{
		spec: &c.rec.Spec, l: c.l, facts: c.facts(), image: c.images[ctr.Image], volumes: c.volumes,
		recursive: c.e.features.recursiveReadOnly[c.rec.Spec.Handler], attempt: attempt, seccompRoot: c.e.opts.SeccompRoot,
	}
	config, err := plan.containerConfig(ctr)
	if err != nil {
		return "", fmt.Errorf("container %s: %w", ctr.Name, err)
	}
	made, err := c.e.cri.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: c.sandbox, Config: config, SandboxConfig: c.sandboxConfig})
	if err != nil {
		return "", fmt.Errorf("container %s: %w", ctr.Name, err)
	}
	c.e.opts.step("created " + ctr.Name)
	if _, err := c.e.cri.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: made.ContainerId}); err != nil {
		return made.ContainerId, fmt.Errorf("container %s: %w", ctr.Name, err)
	}
	c.say(ctr.Name, "Started", "started container %s", ctr.Name)
	c.e.opts.step("started " + ctr.Name)
	return made.ContainerId, c.postStart(ctx, ctr, made.ContainerId)
}

// startAll starts the pod's containers: each init container to its end or, if
// it is a sidecar, until it has started; then the others.
func (c *care) startAll(ctx context.Context) error {
	spec := &c.rec.Spec.Spec
	for i := range spec.InitContainers {
		if err := c.startInit(ctx, &spec.InitContainers[i]); err != nil {
			return err
		}
	}
	for i := range spec.Containers {
		if _, err := c.startContainer(ctx, &spec.Containers[i], c.nextNumber(spec.Containers[i].Name)); err != nil {
			return err
		}
	}
	return nil
}

// startInit runs an init container to its success, starting it again as often
// as the pod allows.
func (c *care) startInit(ctx context.Context, ctr *corev1.Container) error {
	for attempt := 0; ; attempt++ {
		id, err := c.startContainer(ctx, ctr, c.nextNumber(ctr.Name))
		if err == nil && isSidecar(ctr) {
			err = c.waitStarted(ctx, ctr, id)
			if err == nil {
				return nil
			}
		} else if err == nil {
			err = c.waitSuccess(ctx, ctr, id)
			if err == nil {
				c.say(ctr.Name, "Completed", "init container %s completed", ctr.Name)
				return nil
			}
		}
		if attempt >= c.rec.Spec.Restarts || !c.mayRestart(ctr) || ctx.Err() != nil {
			return err
		}
		c.say(ctr.Name, "BackOff", "%v", err)
		if err := sleep(ctx, backOff(attempt)); err != nil {
			return err
		}
	}
}

// mayRestart reports whether an init container that failed is started again.
func (c *care) mayRestart(ctr *corev1.Container) bool {
	return isSidecar(ctr) || c.rec.Spec.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// waitSuccess waits until a container ended, and fails unless with code 0.
func (c *care) waitSuccess(ctx context.Context, ctr *corev1.Container, id string) error {
	st, err := c.waitExit(ctx, id)
	if err != nil {
		return err
	}
	if st.ExitCode != 0 {
		return c.exitError(ctr, st)
	}
	return nil
}

// waitExit waits until a container ended. The kernel tells when its process
// does; the runtime hears of that a moment later.
func (c *care) waitExit(ctx context.Context, id string) (*runtimeapi.ContainerStatus, error) {
	ended := false
	for wait := pollMin; ; wait = min(wait*2, pollMax) {
		resp, err := c.verboseStatus(ctx, id)
		if err != nil {
			return nil, err
		}
		if hasEnded(resp.Status) {
			return resp.Status, nil
		}
		if err := waitProcess(ctx, infoPID(resp.Info), lookAgain); err == nil && !ended {
			wait, ended = pollMin, true
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// status asks the runtime for what a container does.
func (c *care) status(ctx context.Context, id string) (*runtimeapi.ContainerStatus, error) {
	resp, err := c.verboseStatus(ctx, id)
	return resp.GetStatus(), err
}

func (c *care) verboseStatus(ctx context.Context, id string) (resp *runtimeapi.ContainerStatusResponse, err error) {
	err = c.patiently(ctx, func() error {
		resp, err = c.e.cri.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id, Verbose: true})
		return err
	})
	return resp, err
}

func hasEnded(st *runtimeapi.ContainerStatus) bool {
	return st.State == runtimeapi.ContainerState_CONTAINER_EXITED
}

func isRunning(st *runtimeapi.ContainerStatus) bool {
	return st.State == runtimeapi.ContainerState_CONTAINER_RUNNING
}

// Between two looks at a container there is little time at first, because many
// end at once, and then more.
const (
	pollMin = 2 * time.Millisecond
	pollMax = 250 * time.Millisecond
	// lookAgain bounds how long only the kernel is listened to. It tells every
	// end, so that to look is only for a runtime that loses a container.
	lookAgain = 5 * time.Minute
)

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
