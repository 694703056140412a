package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// Phase is the phase of a pod.
type Phase string

// The phases of a pod.
const (
	Creating  Phase = "Creating"  // another command is creating it
	Removing  Phase = "Removing"  // another command is removing it, or was killed while it did
	Running   Phase = "Running"   // a container runs or will be restarted
	Succeeded Phase = "Succeeded" // all containers ended with code 0 and stay so
	Failed    Phase = "Failed"    // all containers ended, at least one of them in error
	Lost      Phase = "Lost"      // its sandbox does not run, as after a reboot
	Damaged   Phase = "Damaged"   // its state cannot be read; it can only be removed, by its UID
)

// A Pod is a snapshot of the state of a pod. Refresh and Fresh read it again.
type Pod struct {
	UID         string
	Namespace   string
	Name        string
	Workload    string // "deployment/web"
	Labels      map[string]string
	Annotations map[string]string
	Created     time.Time
	Phase       Phase
	Evicted     string // the limit that it exceeded; empty if it was not evicted
	Handler     string // CRI runtime handler, empty for the default
	SandboxID   string
	IP          string      // empty with the machine's network
	Containers  []Container // init containers first, each in the manifest's order

	e     *Engine
	rec   *record
	ready bool      // its sandbox
	owner *fileLock // of an ephemeral pod, in the process that created it
}

// State is the state of a container.
type State string

// The states of a container.
const (
	Waiting State = "Waiting" // not started yet
	Started State = "Running"
	Exited  State = "Exited"
)

// A Container is the latest attempt at one container of a pod.
type Container struct {
	Name     string
	ID       string // of the runtime; empty while Waiting
	Image    string // as the manifest has it
	ImageID  string // by which the runtime knows it
	Init     bool   // also of a sidecar
	Sidecar  bool
	State    State
	ExitCode int32
	Reason   string // of its end: Completed, Error, OOMKilled
	Message  string // its termination message, or the runtime's message
	Started  time.Time
	Finished time.Time
	Restarts int
	PID      int    // on this machine; 0 unless it runs
	LogPath  string // of this attempt

	Crashes   int       // in a row
	RestartAt time.Time // end of the back-off after the last crash
	Waiting   string    // why it waits for that: CrashLoopBackOff, CreateContainerError; empty if it does not
}

// Spec returns the spec of the pod.
func (p *Pod) Spec() PodSpec { return p.rec.Spec }

// Container finds a container by name. Without a name it returns the one in the
// annotation kubectl.kubernetes.io/default-container, or else the first one that
// is not an init container.
func (p *Pod) Container(name string) (*Container, error) {
	if name == "" {
		name = p.Annotations["kubectl.kubernetes.io/default-container"]
	}
	var all []string
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Name == name || name == "" && !c.Init {
			return c, nil
		}
		all = append(all, c.Name)
	}
	return nil, fmt.Errorf("pod %s has no container %q; it has %s", p.Name, name, strings.Join(all, ", "))
}

// Refresh reads the state of the pod again.
func (p *Pod) Refresh(ctx context.Context) error {
	fresh, err := p.e.pod(ctx, p.rec)
	if err != nil {
		return err
	}
	// Fields that never change are not written, because other goroutines may be
	// reading them, see Fresh.
	p.Phase, p.Evicted, p.SandboxID, p.IP = fresh.Phase, fresh.Evicted, fresh.SandboxID, fresh.IP
	p.Containers, p.ready = fresh.Containers, fresh.ready
	return nil
}

// Fresh is Refresh into a new Pod, for use while another goroutine uses p.
func (p *Pod) Fresh(ctx context.Context) (*Pod, error) { return p.e.pod(ctx, p.rec) }

// Pods lists all pods, including those that are being created or removed, sorted
// by namespace and name.
func (e *Engine) Pods(ctx context.Context) ([]*Pod, error) {
	uids, err := podUIDs(e.opts.Root)
	if err != nil {
		return nil, err
	}
	var pods []*Pod
	for _, uid := range uids {
		rec, err := readRecord(newLayout(e.opts.Root, uid))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed in the meantime
		}
		if err != nil {
			rec = &record{UID: uid, Spec: PodSpec{Name: uid}, damaged: err}
		}
		p, err := e.pod(ctx, rec)
		if err != nil {
			return nil, err
		}
		pods = append(pods, p)
	}
	slices.SortFunc(pods, func(a, b *Pod) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return pods, nil
}

// pod reads the state of a pod from the runtime.
func (e *Engine) pod(ctx context.Context, rec *record) (*Pod, error) {
	s := &rec.Spec
	p := &Pod{
		UID: rec.UID, Namespace: s.Namespace, Name: s.Name, Workload: s.WorkloadName(),
		Labels: s.Labels, Annotations: s.Annotations, Created: rec.Created, Handler: s.Handler,
		e: e, rec: rec,
	}
	sandboxes, err := e.sandboxes(ctx, newLayout(e.opts.Root, rec.UID).labels())
	if err != nil {
		return nil, err
	}
	if len(sandboxes) > 0 {
		p.SandboxID = sandboxes[0].Id
		p.ready = sandboxes[0].State == runtimeapi.PodSandboxState_SANDBOX_READY
	}
	if p.ready {
		ips, err := e.podIPs(ctx, p.SandboxID)
		if err != nil && !cri.IsNotFound(err) {
			return nil, err
		}
		if len(ips) > 0 {
			p.IP = ips[0]
		}
	}
	if p.Containers, err = e.containers(ctx, rec); err != nil {
		return nil, err
	}
	p.Phase = e.phase(p)
	if reason, err := os.ReadFile(newLayout(e.opts.Root, p.UID).stopped()); err == nil {
		p.Evicted = string(reason)
	}
	return p, nil
}

// sandboxes lists the sandboxes with all labels, the newest first.
func (e *Engine) sandboxes(ctx context.Context, labels map[string]string) ([]*runtimeapi.PodSandbox, error) {
	resp, err := e.cri.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{LabelSelector: labels}})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(resp.Items, func(a, b *runtimeapi.PodSandbox) int { return int(b.CreatedAt - a.CreatedAt) })
	return resp.Items, nil
}

// containers describes every container of the manifest.
func (e *Engine) containers(ctx context.Context, rec *record) ([]Container, error) {
	latest, err := e.latest(ctx, rec.UID)
	if err != nil {
		return nil, err
	}
	var out []Container
	spec := &rec.Spec.Spec
	for i := range spec.InitContainers {
		out = append(out, Container{Init: true, Sidecar: translate.IsSidecar(&spec.InitContainers[i])})
		if err := e.describeContainer(ctx, rec, &spec.InitContainers[i], latest, &out[len(out)-1]); err != nil {
			return nil, err
		}
	}
	for i := range spec.Containers {
		out = append(out, Container{})
		if err := e.describeContainer(ctx, rec, &spec.Containers[i], latest, &out[len(out)-1]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// latest returns the latest attempt at each container of a pod, by name.
func (e *Engine) latest(ctx context.Context, uid string) (map[string]*runtimeapi.Container, error) {
	all, err := e.attempts(ctx, uid)
	if err != nil {
		return nil, err
	}
	out := map[string]*runtimeapi.Container{}
	for _, c := range all {
		old := out[c.Metadata.Name]
		if old == nil || c.Metadata.Attempt > old.Metadata.Attempt || c.CreatedAt > old.CreatedAt && c.Metadata.Attempt == old.Metadata.Attempt {
			out[c.Metadata.Name] = c
		}
	}
	return out, nil
}

// attempts lists the containers of a pod that the runtime has.
func (e *Engine) attempts(ctx context.Context, uid string) ([]*runtimeapi.Container, error) {
	resp, err := e.cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{LabelSelector: newLayout(e.opts.Root, uid).labels()}})
	if err != nil {
		return nil, err
	}
	return resp.Containers, nil
}

// describeContainer reads the status of a container from the runtime into out.
func (e *Engine) describeContainer(ctx context.Context, rec *record, c *corev1.Container, latest map[string]*runtimeapi.Container, out *Container) error {
	out.Name, out.Image, out.State = c.Name, c.Image, Waiting
	l := newLayout(e.opts.Root, rec.UID)
	crash := l.readCrash(c.Name)
	out.Crashes, out.RestartAt = crash.Count, crash.Until
	found, ok := latest[c.Name]
	if !ok {
		out.waitFor(crash, l)
		return nil
	}
	resp, err := e.cri.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: found.Id, Verbose: true})
	if cri.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	st := resp.Status
	out.ID, out.ImageID, out.LogPath = st.Id, st.ImageRef, st.LogPath
	out.Restarts = int(st.Metadata.Attempt)
	out.Started = unixTime(st.StartedAt)
	switch st.State {
	case runtimeapi.ContainerState_CONTAINER_RUNNING:
		out.State, out.PID = Started, statusPID(resp.Info)
	case runtimeapi.ContainerState_CONTAINER_EXITED:
		out.State, out.ExitCode, out.Reason, out.Finished = Exited, st.ExitCode, st.Reason, unixTime(st.FinishedAt)
		out.Message = terminationMessage(l, c, st)
		if crash.has(st.Metadata.Attempt, out.Finished) {
			out.waitFor(crash, l)
		}
	default:
		if crash.Attempt >= st.Metadata.Attempt { // else it is being started
			out.waitFor(crash, l)
		}
	}
	return nil
}

// waitFor sets why a container waits after a crash.
func (c *Container) waitFor(crash crashRecord, l layout) {
	if crash.Count == 0 || l.isStopping() {
		return
	}
	c.Waiting = crash.Reason
	if c.Message == "" {
		c.Message = crash.Message
	}
}

func unixTime(ns int64) time.Time {
	if ns <= 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// statusPID returns the PID in a verbose status, where both containerd and CRI-O
// have it, or 0.
func statusPID(info map[string]string) int {
	var v struct {
		PID int `json:"pid"`
	}
	if json.Unmarshal([]byte(info["info"]), &v) != nil {
		return 0
	}
	return v.PID
}

// phase derives the phase of a pod from its files and containers.
func (e *Engine) phase(p *Pod) Phase {
	l := newLayout(e.opts.Root, p.UID)
	if p.rec.damaged != nil {
		return Damaged
	}
	if !exists(l.committed()) {
		if exists(l.removing()) {
			return Removing
		}
		return Creating
	}
	failed, stopped := false, exists(l.stopped())
	for i := range p.Containers {
		c := &p.Containers[i]
		spec, _ := p.rec.Spec.Container(c.Name)
		if c.Init {
			if !c.Sidecar && c.State == Exited && c.ExitCode != 0 && !restarts(&p.rec.Spec, spec, c.ExitCode) {
				return Failed
			}
			continue
		}
		if stopped && c.State == Waiting {
			failed = true
			continue
		}
		if c.State != Exited || !stopped && restarts(&p.rec.Spec, spec, c.ExitCode) {
			if !p.ready {
				return Lost
			}
			return Running
		}
		failed = failed || c.ExitCode != 0
	}
	if failed {
		return Failed
	}
	return Succeeded
}
