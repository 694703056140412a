package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A Status is how a Deployment runs, and how its latest rollout by Adamant went.
type Status struct {
	Namespace  string        `json:"namespace"`
	Name       string        `json:"name"`
	Phase      rollout.Phase `json:"phase,omitempty"` // empty if Adamant rolls nothing out: never, or another client did since
	Reason     string        `json:"reason,omitempty"`
	Generation int           `json:"generation"`           // of the Deployment's template
	Target     int           `json:"target,omitempty"`     // generation that is rolled out
	Paused     bool          `json:"paused,omitempty"`     // by a user, or a step that waits for one
	Began      time.Time     `json:"began,omitzero"`       // of the rollout
	Replicas   int           `json:"replicas"`             // wanted
	Updated    int           `json:"updated"`              // pods of the template
	Available  int           `json:"available"`            // pods of all generations
	Trial      string        `json:"trial,omitempty"`      // Deployment that runs the target beside this one
	TrialReady int           `json:"trialReady,omitempty"` // its ready pods
}

// Line formats a status as one line.
func (s Status) Line() string {
	text := fmt.Sprintf("Deployment/%s generation %d: %d of %d available, %d updated", s.Name, s.Generation, s.Available, s.Replicas, s.Updated)
	if s.Trial != "" {
		text += fmt.Sprintf("; generation %d on trial: %d ready in %s", s.Target, s.TrialReady, s.Trial)
	}
	text += ": " + string(cmp.Or(s.Phase, "not rolled out by adamant"))
	if s.Paused {
		text += ", waits for adamant rollout resume"
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text
}

// Status returns the status of a Deployment.
func (c *Cluster) Status(ctx context.Context, namespace, name string) (Status, error) {
	w := c.workload(namespace, name, Options{})
	w.stop = func(error) {}
	v, err := w.read(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("status of Deployment %s: %w", w, err)
	}
	return w.status(v)
}

func (w *workload) status(v view) (Status, error) {
	d := v.deployment
	s := Status{
		Namespace: w.namespace, Name: w.name, Replicas: int(*d.Spec.Replicas), Paused: d.Spec.Paused,
		Updated: int(d.Status.UpdatedReplicas), Available: int(d.Status.AvailableReplicas),
	}
	if rs := matching(d, v.sets); rs != nil {
		s.Generation = generation(rs)
	}
	r, err := recordOf(d)
	if err != nil {
		return s, err
	}
	found, err := located(v, r)
	if err != nil || found.Phase.Ended() && found.Target != s.Generation {
		return s, nil // another client has changed the template since
	}
	s.Phase, s.Reason, s.Target, s.Began = found.Phase, found.Reason, found.Target, found.Began
	if v.trial != nil && found.Phase == rollout.Progressing {
		s.Trial, s.TrialReady = v.trial.Name, int(v.trial.Status.ReadyReplicas)
		desired, err := w.desired(v, found)
		if err != nil {
			return s, err
		}
		spec, _, err := rollout.FromDeployment(desired)
		if err != nil {
			return s, err
		}
		s.Paused = s.Paused || found.Paused || spec.Waits(found.State)
	}
	return s, nil
}

// AllNamespaces is the namespace of List for the Deployments of all.
const AllNamespaces = "*"

// List returns the status of each Deployment of a namespace that Adamant has rolled out.
func (c *Cluster) List(ctx context.Context, namespace string) ([]Status, error) {
	namespace = cmp.Or(namespace, c.namespace)
	if namespace == AllNamespaces {
		namespace = metav1.NamespaceAll
	}
	all, err := c.deployments(namespace).list(ctx, &metav1.LabelSelector{})
	if err != nil {
		return nil, fmt.Errorf("list Deployments: %w", err)
	}
	var list []Status
	for _, d := range all {
		if d.Annotations[recordAnnotation] == "" || d.Labels[trialLabel] != "" {
			continue
		}
		s, err := c.Status(ctx, d.Namespace, d.Name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// A Revision is a generation of a Deployment that can be rolled back to.
type Revision struct {
	Generation int           `json:"generation"`
	Revision   int           `json:"revision"` // of kubectl rollout history; it grows when the generation is rolled back to
	Created    time.Time     `json:"created"`
	Images     []string      `json:"images"`
	Replicas   int           `json:"replicas"`
	Phase      rollout.Phase `json:"phase,omitempty"` // how its last rollout ended, empty if Adamant did not roll it out
	Reason     string        `json:"reason,omitempty"`
}

// History returns the generations of a Deployment, the oldest first.
func (c *Cluster) History(ctx context.Context, namespace, name string) ([]Revision, error) {
	w := c.workload(namespace, name, Options{})
	d, err := w.deployments(w.namespace).get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("history of Deployment %s: %w", w, err)
	}
	sets, err := w.owned(ctx, d)
	if err != nil {
		return nil, err
	}
	var list []Revision
	for _, rs := range sets {
		r := Revision{Generation: generation(rs), Revision: revision(rs), Created: rs.CreationTimestamp.Time, Replicas: int(rs.Status.Replicas)}
		for _, container := range rs.Spec.Template.Spec.Containers {
			r.Images = append(r.Images, container.Image)
		}
		r.Phase, r.Reason = lastPhase(d, rs)
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Revision) int { return cmp.Compare(a.Generation, b.Generation) })
	return list, nil
}

// lastPhase returns how the last rollout of a ReplicaSet's generation ended. The
// Deployment controller copies the record to the ReplicaSet of the template.
func lastPhase(d *appsv1.Deployment, rs *appsv1.ReplicaSet) (rollout.Phase, string) {
	n := generation(rs)
	for _, text := range []string{d.Annotations[recordAnnotation], rs.Annotations[recordAnnotation]} {
		var r record
		if json.Unmarshal([]byte(text), &r) != nil {
			continue
		}
		switch n {
		case r.Target:
			return r.Phase, r.Reason
		case r.From:
			return rollout.Failed, r.Reason
		case r.Stable:
			return rollout.Complete, ""
		}
	}
	return "", ""
}

// Pause holds a rollout where it is.
func (c *Cluster) Pause(ctx context.Context, namespace, name string) error {
	return c.UpdateState(ctx, namespace, name, func(s rollout.State) rollout.State {
		s.Paused = true
		return s
	})
}

// Unpause ends a pause: one by a user, that of a canary step, or that before a
// blue/green rollout replaces the old version.
func (c *Cluster) Unpause(ctx context.Context, namespace, name string) error {
	return c.UpdateState(ctx, namespace, name, func(s rollout.State) rollout.State { return s.Resume(time.Now()) })
}

// Undo rolls a generation of a Deployment out again and waits for its end. If to is 0
// that is the stable generation during a rollout, and otherwise the one before. One
// that failed is chosen only by its number.
func (c *Cluster) Undo(ctx context.Context, namespace, name string, to int, opts Options) (Result, error) {
	ctx, cancel := withTimeout(ctx, opts.Timeout)
	defer cancel()
	w := c.workload(namespace, name, opts)
	r, err := w.run(ctx, func(ctx context.Context) error { return w.beginUndo(ctx, to) })
	if err != nil {
		return r, fmt.Errorf("undo %s: %w", r, err)
	}
	return r, nil
}

func (w *workload) beginUndo(ctx context.Context, to int) error {
	w.apply = rand.Text()
	return retryOnConflict(func() error {
		v, err := w.read(ctx)
		if err != nil {
			return err
		}
		was, err := recordOf(v.deployment)
		if err != nil {
			return err
		}
		if to == 0 {
			if to = generationBefore(v, was); to == 0 {
				return fmt.Errorf("%s has no earlier generation that completed its rollout; adamant rollout history lists all", w)
			}
		}
		ops, err := restore(v, to)
		if err != nil {
			return err
		}
		if v.deployment.Spec.Paused {
			ops = append(ops, op{"add", "/spec/paused", false})
		}
		w.record = record{State: was.Begin(to, time.Now()), Apply: w.apply}
		w.record.Paused = false
		w.record.Stable, w.record.Passed = 0, "last" // it completed its steps and gates before
		return w.write(ctx, v.deployment, w.record, ops...)
	})
}

// generationBefore returns the generation that undo rolls out, 0 if there is none.
func generationBefore(v view, was record) int {
	current := matching(v.deployment, v.sets)
	if was.Phase == rollout.Progressing && was.Stable != 0 && ofGeneration(v.sets, was.Stable) != nil {
		return was.Stable
	}
	best := 0
	for _, rs := range slices.SortedFunc(slices.Values(v.sets), func(a, b *appsv1.ReplicaSet) int { return revision(b) - revision(a) }) {
		phase, _ := lastPhase(v.deployment, rs)
		if rs != current && best == 0 && (phase == rollout.Complete || phase == rollout.RolledBack || phase == "") {
			best = generation(rs)
		}
	}
	return best
}

// ParseName reads "web", "deploy/web" or "namespace/deploy/web".
func ParseName(text string) (namespace, name string, err error) {
	parts := strings.Split(text, "/")
	name = parts[len(parts)-1]
	if len(parts) > 3 || len(parts) > 1 && !slices.Contains([]string{"deploy", "deployment", "Deployment", "deployments"}, parts[len(parts)-2]) || name == "" {
		return "", "", fmt.Errorf("%q: want web, deploy/web or namespace/deploy/web", text)
	}
	if len(parts) == 3 {
		namespace = parts[0]
	}
	return namespace, name, nil
}
