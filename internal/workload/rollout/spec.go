package rollout

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// A Kind is a strategy for replacing instances.
type Kind string

// The kinds. The first two are Kubernetes' own.
const (
	RollingUpdate Kind = "RollingUpdate"
	Recreate      Kind = "Recreate"
	BlueGreen     Kind = "BlueGreen"
	Canary        Kind = "Canary"
	// OnDelete replaces only instances that were lost or removed. It needs ordinals.
	OnDelete Kind = "OnDelete"
)

// A Spec describes how a workload is maintained and replaced.
type Spec struct {
	Replicas       int                `json:"replicas"`
	Kind           Kind               `json:"kind"`
	MaxSurge       intstr.IntOrString `json:"maxSurge"`       // a percentage is rounded up
	MaxUnavailable intstr.IntOrString `json:"maxUnavailable"` // a percentage is rounded down
	MinReady       time.Duration      `json:"minReady,omitempty"`
	Deadline       time.Duration      `json:"progressDeadline,omitempty"` // time without progress; no limit if 0
	Steps          []Step             `json:"steps,omitempty"`            // of a canary, before it gets all traffic
	Hold           time.Duration      `json:"hold,omitempty"`             // blue/green: how long the old instances stay after the switch
	ByHand         bool               `json:"byHand,omitempty"`           // blue/green: waits for a user before the switch
	Gated          bool               `json:"gated,omitempty"`            // has gates
	OnInconclusive OnInconclusive     `json:"onInconclusive,omitempty"`
	OnDrift        OnDrift            `json:"onDrift,omitempty"`
	Budget         Budget             `json:"budget"`
	CrashLimit     int                `json:"crashLimit,omitempty"`  // crashes that fail a rollout, summed over its instances; 3 if 0
	Alone          bool               `json:"alone,omitempty"`       // two instances cannot exist at once: they have one name or port
	Ordinals       *Ordinals          `json:"ordinals,omitempty"`    // of a StatefulSet
	CrashWindow    time.Duration      `json:"crashWindow,omitempty"` // an instance that ran so long after its last crash has none; 10 minutes if 0
}

// A Step is one share of the traffic that a canary gets.
type Step struct {
	Share  int           `json:"share"`            // percent, 1 to 100
	Pause  time.Duration `json:"pause,omitempty"`  // duration of the step
	ByHand bool          `json:"byHand,omitempty"` // lasts until a user resumes it
}

// OnInconclusive is the reaction to a gate that neither passes nor fails, as for too
// few requests. Each is reported.
type OnInconclusive string

// The reactions. The zero value waits.
const (
	Wait OnInconclusive = "wait" // for a result, or for a user to resume
	Pass OnInconclusive = "pass"
	Fail OnInconclusive = "fail"
)

// OnDrift is the reaction to an instance that drifted.
type OnDrift string

// The reactions.
const (
	Report  OnDrift = "report"
	Replace OnDrift = "replace"
	Stop    OnDrift = "stop"
)

// A Budget bounds how many instances are replaced for drift in a period.
// Without it an image that drifts by itself would be replaced for ever.
type Budget struct {
	Count int           `json:"count"`
	Per   time.Duration `json:"per"`
}

// The defaults of the limit for crashes. A kubelet restarts a container at once
// after its first crash, 10 s after its second, and takes it for recovered after
// 10 minutes. So the third crash is the first after a back-off.
const (
	defaultCrashLimit  = 3
	defaultCrashWindow = 10 * time.Minute
)

// backedOff is the number of crashes of an instance that was restarted in vain
// after a back-off. No rollout fails for crashes before an instance has so many.
const backedOff = 3

// Fatal is the number of crashes that a driver reports for an instance that can
// never start, such as one whose image does not exist. It fails any rollout.
const Fatal = 1 << 16

// crashLimit returns the number of crashes that fails a rollout.
func (s Spec) crashLimit() int { return cmp.Or(s.CrashLimit, defaultCrashLimit) }

// crashes returns the crashes of an instance that count.
func (s Spec) crashes(i Instance, now time.Time) int {
	window := cmp.Or(s.CrashWindow, defaultCrashWindow)
	if !i.RestartAt.IsZero() && now.Sub(i.RestartAt) > window {
		return 0
	}
	return i.Crashes
}

// limits returns how many instances may exist at once and how many must be
// available. As in the Deployment controller, one instance may be unavailable
// if both limits would forbid any change
// (k8s.io/kubernetes/pkg/controller/deployment/util.ResolveFenceposts).
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
		return 0 // refused by Validate
	}
	return max(n, 0)
}

// canaries returns how many of n instances carry a share of the traffic: at
// least one, so that a small share of a small workload is not zero.
func canaries(n, share int) int {
	return min(max(int(math.Ceil(float64(n)*float64(share)/100)), 1), n)
}

// Validate returns an error for a Spec that cannot be carried out.
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
