package rollout

import (
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// A Kind is a way to replace instances.
type Kind string

// The kinds. The first two are Kubernetes' own.
const (
	RollingUpdate Kind = "RollingUpdate"
	Recreate      Kind = "Recreate"
	BlueGreen     Kind = "BlueGreen"
	Canary        Kind = "Canary"
)

// A Spec says how a workload is to be kept and replaced.
type Spec struct {
	Replicas       int                `json:"replicas"`
	Kind           Kind               `json:"kind"`
	MaxSurge       intstr.IntOrString `json:"maxSurge"`       // a percentage is rounded up
	MaxUnavailable intstr.IntOrString `json:"maxUnavailable"` // a percentage is rounded down
	MinReady       time.Duration      `json:"minReady,omitempty"`
	Deadline       time.Duration      `json:"progressDeadline,omitempty"` // without progress; none if 0
	Steps          []Step             `json:"steps,omitempty"`            // of a canary, before all traffic
	Hold           time.Duration      `json:"hold,omitempty"`             // blue/green: how long the old ones stay after the switch
	ByHand         bool               `json:"byHand,omitempty"`           // blue/green: somebody must resume it to switch
	Gated          bool               `json:"gated,omitempty"`            // there are gates to ask
	OnDrift        OnDrift            `json:"onDrift,omitempty"`
	Budget         Budget             `json:"budget"`
}

// A Step is one share of traffic on the way of a canary.
type Step struct {
	Share  int           `json:"share"`            // percent, 1 to 100
	Pause  time.Duration `json:"pause,omitempty"`  // how long it lasts
	ByHand bool          `json:"byHand,omitempty"` // until somebody resumes it
}

// OnDrift is what becomes of an instance that drifted.
type OnDrift string

// What can become of it.
const (
	Report  OnDrift = "report"
	Replace OnDrift = "replace"
	Stop    OnDrift = "stop"
)

// A Budget bounds how many instances are replaced for drift, so that an image
// that drifts by itself does not keep a fleet busy for ever.
type Budget struct {
	Count int           `json:"count"`
	Per   time.Duration `json:"per"`
}

// crashLimit is how often instances of a new generation may crash, all
// together, before it is given up: one may be chance.
const crashLimit = 2

// limits returns how many instances may be there at once, and how many must be
// available, as kube-controller-manager resolves them: if both would forbid
// any change, one may be unavailable.
func (s Spec) limits() (most, least int) {
	surge := scaled(s.MaxSurge, s.Replicas, true)
	down := min(scaled(s.MaxUnavailable, s.Replicas, false), s.Replicas)
	if surge == 0 && down == 0 {
		down = 1
	}
	return s.Replicas + surge, max(s.Replicas-down, 0)
}

func scaled(v intstr.IntOrString, of int, up bool) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&v, of, up)
	if err != nil {
		return 0 // Validate refuses it
	}
	return max(n, 0)
}

// canaries is how many instances of n carry a share of the traffic: at least
// one, so that a share of a small fleet is not nothing.
func canaries(n, share int) int {
	return min(max(int(math.Ceil(float64(n)*float64(share)/100)), 1), n)
}

// Validate says what cannot be meant.
func (s Spec) Validate() error {
	for name, v := range map[string]intstr.IntOrString{"maxSurge": s.MaxSurge, "maxUnavailable": s.MaxUnavailable} {
		if n, err := intstr.GetScaledValueFromIntOrPercent(&v, 100, true); err != nil || n < 0 {
			return fmt.Errorf("%s %q: want a number or a percentage, 0 or more", name, v.String())
		}
	}
	if s.Replicas < 0 {
		return fmt.Errorf("replicas %d: want 0 or more", s.Replicas)
	}
	last := 0
	for i, step := range s.Steps {
		if step.Share < 1 || step.Share > 100 || step.Share < last {
			return fmt.Errorf("canary step %d has a share of %d%%: want 1 to 100, each at least as large as the one before", i+1, step.Share)
		}
		last = step.Share
	}
	return nil
}
