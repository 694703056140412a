package local

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// A Status is the current state of a workload.
type Status struct {
	Key
	Replicas   int              `json:"replicas"`
	Ready      int              `json:"ready"`
	Updated    int              `json:"updated"` // instances of the target generation
	Generation int              `json:"generation"`
	Stable     int              `json:"stable,omitempty"`
	Phase      rollout.Phase    `json:"phase"`
	Reason     string           `json:"reason,omitempty"`
	Paused     bool             `json:"paused,omitempty"`
	Waiting    string           `json:"waiting,omitempty"` // why the rollout waits, if it waits for a user or a gate
	Strategy   rollout.Kind     `json:"strategy"`
	Began      time.Time        `json:"began"`
	Shares     map[int]int      `json:"shares,omitempty"` // of new traffic, percent by generation
	Images     []PinnedImage    `json:"images"`
	Instances  []InstanceStatus `json:"instances"`
	Services   []ServiceStatus  `json:"services,omitempty"`
	Ingresses  []IngressStatus  `json:"ingresses,omitempty"` // that lead to its Services
	Deleting   bool             `json:"deleting,omitempty"`
	Rollout    int              `json:"rollout,omitempty"` // number of the latest rollout, as in the history
	// Compromised is the number of instances that drifted and still exist, in traffic
	// or out of it.
	Compromised int         `json:"compromised,omitempty"`
	Job         *JobStatus  `json:"job,omitempty"`     // of a Job
	CronJob     *CronStatus `json:"cronJob,omitempty"` // of a CronJob
}

// RolloutErr returns why the rollout is not complete, or nil if it is.
func (s Status) RolloutErr() error {
	if s.Phase == rollout.Complete {
		return nil
	}
	return fmt.Errorf("%s/%s is %s: %s", s.Kind, s.Name, s.Phase, s.Reason)
}

// An InstanceStatus is the current state of an instance.
type InstanceStatus struct {
	Name       string        `json:"name"`
	Generation int           `json:"generation"`
	Phase      string        `json:"phase"` // Starting, Running, Ready, Crashed, Ending
	Made       time.Time     `json:"made"`
	IP         string        `json:"ip,omitempty"`
	Crashes    int           `json:"crashes,omitempty"`
	Waiting    string        `json:"waiting,omitempty"`  // why a container waits to be started again: CrashLoopBackOff, CreateContainerError, ErrImagePull
	RestartAt  time.Time     `json:"restartAt,omitzero"` // end of the back-off after the last crash
	Drift      rollout.Drift `json:"drift,omitempty"`
	Changes    int           `json:"changes,omitempty"`
	Evidence   string        `json:"evidence,omitempty"`
	Isolated   bool          `json:"isolated,omitempty"` // out of traffic for drift
	Message    string        `json:"message,omitempty"`
}

// A ServiceStatus is the current state of a Service's port.
type ServiceStatus struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Port      int32  `json:"port"`
	ClusterIP string `json:"clusterIP,omitempty"` // the Service's own address, for pods and this machine; "None" if it is headless
	Address   string `json:"address,omitempty"`   // on this machine
	Requests  uint64 `json:"requests"`
	Errors    uint64 `json:"errors"`
	Err       string `json:"error,omitempty"`
}

// ErrNotFound is returned when no workload has the name.
var ErrNotFound = errors.New("no such workload")

// List returns all workloads, by name.
func (c *Controller) List() ([]Status, error) {
	var records []record
	err := c.store.view(func(t tx) (err error) {
		records, err = all[record](t, "workloads", "")
		return err
	})
	if err != nil {
		return nil, err
	}
	list := []Status{}
	stats := c.services.balancer.Stats(c.ctx)
	for _, r := range records {
		s, err := c.statusWith(r, stats)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Status returns one workload.
func (c *Controller) Status(key Key) (Status, error) {
	r, err := c.record(key)
	if err != nil {
		return Status{}, err
	}
	return c.status(r)
}

func (c *Controller) record(key Key) (record, error) {
	var r record
	err := c.store.view(func(t tx) (err error) {
		var ok bool
		if r, ok, err = get[record](t, "workloads", key.String()); err == nil && !ok {
			err = fmt.Errorf("%w: %s", ErrNotFound, key)
		}
		return err
	})
	return r, err
}

func (c *Controller) status(r record) (Status, error) {
	return c.statusWith(r, c.services.balancer.Stats(c.ctx))
}

func (c *Controller) statusWith(r record, stats traffic.Counters) (Status, error) {
	rollouts := 0
	err := c.store.view(func(t tx) error {
		rollouts = lastNumber(t, "attempts", r.Key)
		return nil
	})
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Key: r.Key, Replicas: r.Spec.Replicas, Generation: r.State.Target, Stable: r.State.Stable, Phase: r.State.Phase,
		Reason: r.State.Reason, Paused: r.State.Paused, Strategy: r.Spec.Kind, Began: r.State.Began,
		Instances: []InstanceStatus{}, Deleting: r.Deleting, Rollout: rollouts,
	}
	if r.Job != nil {
		s.Job = r.Job.status()
		s.Replicas = s.Job.Active
	}
	if r.Cron != nil {
		s.CronJob = r.Cron.status(r.State.Paused)
	}
	w := c.workload(r.Key)
	if w == nil {
		return s, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Waiting = waiting(r, w.gate.Result())
	s.Shares = w.shares
	if g, err := w.generation(r.State.Target); err == nil {
		s.Images = g.Images
	}
	for _, i := range w.sorted() {
		s.Instances = append(s.Instances, i.status())
		if i.Ready && !i.Ending {
			s.Ready++
		}
		if i.Generation == r.State.Target && !i.Ending && !i.hasEnded() {
			s.Updated++
		}
		if i.Drift == rollout.Drifted && !i.Ending && !i.hasEnded() {
			s.Compromised++
		}
	}
	s.Services = c.services.statusOf(r.Key.Namespace, r.Declared.Labels, stats)
	s.Ingresses = c.services.ingressesOf(r.Key.Namespace, r.Declared.Labels)
	return s, nil
}

func (i *instance) status() InstanceStatus {
	return InstanceStatus{
		Name: i.ID, Generation: i.Generation, Phase: i.phase, Made: i.Created, IP: i.ip, Crashes: i.Crashes,
		Waiting: i.waiting, RestartAt: i.RestartAt,
		Drift: i.Drift, Changes: i.changes, Evidence: i.evidence, Isolated: i.isolated, Message: i.message,
	}
}

// waiting returns why a rollout waits, empty if it only waits for
// its instances.
func waiting(r record, g rollout.GateResult) string {
	switch {
	case r.State.Phase.Ended():
		return ""
	case r.State.Paused:
		return "paused by hand: adamant rollout resume"
	case g.Gate != "" && !g.Done:
		return "gate " + g.Gate
	case r.State.Undecided != "":
		return r.State.Undecided + ": adamant rollout resume goes on without a result"
	case r.State.Held.IsZero():
		return ""
	case r.Spec.Ordinals != nil:
		return r.Spec.HeldBy()
	case r.Spec.Kind == rollout.Canary && r.State.Step < len(r.Spec.Steps):
		step := r.Spec.Steps[r.State.Step]
		if step.ByHand {
			return fmt.Sprintf("step %d, %d%%: adamant rollout resume", r.State.Step+1, step.Share)
		}
		return fmt.Sprintf("step %d, %d%%, until %s", r.State.Step+1, step.Share, r.State.Held.Add(step.Pause).Local().Format(time.TimeOnly))
	case r.Spec.ByHand && r.State.Switched.IsZero():
		return "the switch: adamant rollout resume"
	}
	return ""
}

// statusOf returns the ports whose Services select pods with these labels.
func (s *services) statusOf(namespace string, labels map[string]string, stats traffic.Counters) []ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ServiceStatus
	for _, one := range s.list {
		if one.Namespace == namespace && selects(one.Spec.Selector, labels) {
			list = append(list, one.status(stats)...)
		}
	}
	slices.SortFunc(list, func(a, b ServiceStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port))
	})
	return list
}

func (s *service) status(stats traffic.Counters) []ServiceStatus {
	var list []ServiceStatus
	for _, p := range s.Spec.Ports {
		one := ServiceStatus{Name: s.Name, Namespace: s.Namespace, Port: p.Port}
		if s.err != nil {
			one.Err = s.err.Error()
		}
		if s.ClusterIP.IsValid() {
			one.ClusterIP = s.ClusterIP.String()
		} else if isHeadless(&s.Service) {
			one.ClusterIP = corev1.ClusterIPNone
		}
		if address := s.listen[p.Port]; address != "" && !s.closed[p.Port] {
			one.Address = address
		} else if s.spare && s.err == nil { // another Service or an Ingress has the address on loopback
			one.Address = s.inner[p.Port]
		}
		for _, listener := range []string{listenerName(s, p.Port), innerName(s, p.Port), targetName(s.Service, p.Port)} {
			for _, st := range stats[listener] {
				one.Requests += st.Requests
				one.Errors += st.Errors
			}
		}
		list = append(list, one)
	}
	return list
}

// A History is the stored history of a workload.
type History struct {
	Key
	Generations []Generation `json:"generations"`
	Rollouts    []Attempt    `json:"rollouts"`
	Events      []Event      `json:"events"`
}

// History returns the history of a workload, oldest first, also of one that was
// deleted. It has no content of
// Secrets.
func (c *Controller) History(key Key) (History, error) {
	h := History{Key: key}
	err := c.store.view(func(t tx) (err error) {
		_, ok, err := get[record](t, "workloads", key.String())
		_, wasDeleted, deletedErr := get[Deletion](t, "deleted", key.String())
		if err = errors.Join(err, deletedErr); err != nil {
			return err
		}
		if !ok && !wasDeleted {
			return fmt.Errorf("%w: %s", ErrNotFound, key)
		}
		if h.Generations, err = all[Generation](t, "generations", keyPrefix(key)); err != nil {
			return err
		}
		if h.Rollouts, err = all[Attempt](t, "attempts", keyPrefix(key)); err != nil {
			return err
		}
		h.Events, err = all[Event](t, "events", keyPrefix(key))
		return err
	})
	for i := range h.Generations {
		for n := range h.Generations[i].Secrets {
			s := &h.Generations[i].Secrets[n]
			*s = corev1.Secret{ObjectMeta: s.ObjectMeta, Type: s.Type}
		}
	}
	return h, err
}
