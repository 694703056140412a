// Package rollout decides how one generation of a workload replaces another,
// and how the current one is maintained: which instances are created and
// removed, which generation gets traffic, and when a rollout has failed and is
// rolled back.
//
// It is pure: Next takes a state and an observation and returns the next state
// and a decision. A driver, internal/workload/local on this machine or
// internal/workload/cluster in Kubernetes, executes the decision and makes none
// of its own.
package rollout

import (
	"time"
)

// A Phase is the stage of a workload's latest rollout.
type Phase string

// The phases. A rollout has ended in all but the first two.
const (
	Progressing Phase = "Progressing"
	RollingBack Phase = "RollingBack"
	Complete    Phase = "Complete"   // the target runs
	RolledBack  Phase = "RolledBack" // the target failed, and the generation before runs again
	Failed      Phase = "Failed"     // the target failed and there was nothing to roll back to, or rolling back failed too
)

// Ended reports whether no rollout is under way.
func (p Phase) Ended() bool { return p != Progressing && p != RollingBack }

// A State is everything that Next must remember between two calls. The zero
// value is a workload that never ran.
type State struct {
	Target int   `json:"target"`           // generation that is to run
	Stable int   `json:"stable,omitempty"` // generation that completed its rollout last; 0 if none did
	From   int   `json:"from,omitempty"`   // generation that was aborted, in RollingBack and after
	Phase  Phase `json:"phase"`

	Reason   string    `json:"reason,omitempty"` // why the phase is not Complete
	Began    time.Time `json:"began"`
	Progress time.Time `json:"progress"`       // when the rollout last made progress
	Best     int       `json:"best,omitempty"` // available instances of the target at that time

	Step     int       `json:"step,omitempty"`    // of a canary
	Held     time.Time `json:"held,omitzero"`     // when the step was reached and its pause began
	Switched time.Time `json:"switched,omitzero"` // blue/green: when traffic moved
	Resumed  bool      `json:"resumed,omitempty"` // a user ended the pause
	Passed   string    `json:"passed,omitempty"`  // the last gate that passed
	Paused   bool      `json:"paused,omitempty"`  // by a user: nothing is replaced

	// Wanted is how many instances of each generation are to exist now. Lost ones are
	// replaced up to it, in every phase.
	Wanted map[int]int `json:"wanted,omitempty"`
	// Assigned is the generation that each ordinal of a StatefulSet is to run now, 0 for
	// one that was stopped for drift. A lost instance comes back in it.
	Assigned map[int]int `json:"assigned,omitempty"`
	// Undecided is why a gate has neither passed nor failed.
	Undecided string `json:"undecided,omitempty"`

	Withheld int         `json:"withheld,omitempty"` // instances that were stopped for drift and not replaced
	Spent    bool        `json:"spent,omitempty"`    // the budget for drift is used up, and an event was recorded
	Replaced []time.Time `json:"replaced,omitempty"` // when instances were replaced for drift, within the budget's time
}

// Drift is the result of comparing an instance with its image.
type Drift string

// The results of a comparison. An instance that was not compared is neither
// clean nor drifted.
const (
	Unchecked Drift = ""
	Clean     Drift = "Clean"
	Drifted   Drift = "Drifted"
	Unknown   Drift = "Unknown" // it could not be compared
)

// Worst returns the worse of two results, which are those of two containers of an
// instance. A container that was not compared is worse than a clean one.
func (d Drift) Worst(other Drift) Drift {
	for _, worse := range []Drift{Drifted, Unknown, Unchecked} {
		if d == worse || other == worse {
			return worse
		}
	}
	return Clean
}

// An Instance is one instance as it was observed.
type Instance struct {
	ID         string
	Ordinal    int // of a StatefulSet
	Generation int
	Created    time.Time
	Ready      bool
	ReadySince time.Time
	Crashes    int       // in error, of containers that must run; Fatal if it can never start
	RestartAt  time.Time // end of the back-off after the last crash; zero if it is not known
	Reason     string    // of the last crash, or why the instance does not start
	Drift      Drift
	Ending     bool // it is being drained and removed
}

// An Observation is the state of a workload's instances at one moment.
type Observation struct {
	Instances []Instance
	Failed    map[int]Failure // by generation, if its instances cannot be created
	Gate      GateResult      // of the latest gate
	Fault     string          // why the target's traffic fails the rollout; empty if it does not
	Unjudged  string          // why the target's traffic cannot be judged yet; empty if it can, or need not be
}

// A Failure counts failed attempts to create an instance.
type Failure struct {
	Times  int
	Reason string
}

// A GateResult is the result of a gate so far.
type GateResult struct {
	Gate         string // Decision.Gate
	Done         bool
	Reason       string // why it failed; empty if it did not
	Inconclusive string // why it neither passed nor failed
}

// A Decision lists the changes that the driver must make now. It is idempotent:
// executing it twice, or only a part of it, does no harm. The next observation
// shows the remaining changes.
type Decision struct {
	Create  map[int]int // number of instances to create, by generation
	Ordinal map[int]int // of a StatefulSet in place of Create: generation of the instance to create, by ordinal
	Remove  []string    // instances to drain and remove
	Isolate []string    // instances to take out of traffic and to keep
	Shares  map[int]int // percent of new traffic by generation, 100 in total
	Gate    string      // gate to run now; empty for none
	Wake    time.Time   // when Next must be called again although nothing changed; zero if never
	Events  []Event
}

// An Event is recorded in the history of a workload.
type Event struct {
	Reason  string // one word: Promoted, Complete, RollingBack, RolledBack, Failed, Paused, DriftReplaced, DriftBudget
	Message string
}

// HasFailed reports whether the latest rollout was that of a generation, and failed.
func (s State) HasFailed(generation int) bool {
	if s.From != 0 {
		return s.From == generation
	}
	return s.Phase == Failed && s.Target == generation && s.Stable != generation
}

// Begin returns the state in which the rollout of a generation begins. The stable
// generation is restored at once while another is being tried; what that one had
// reached is kept, because it must not get more traffic meanwhile. A rollout of the
// generation that is under way goes on.
func (s State) Begin(generation int, now time.Time) State {
	if generation == s.Target && s.Phase == Progressing {
		return s
	}
	next := State{
		Target: generation, Stable: s.Stable, Phase: Progressing,
		Began: now, Progress: now, Paused: s.Paused, Replaced: s.Replaced, Wanted: s.Wanted,
		Assigned: s.Assigned,
	}
	if generation == s.Stable {
		next.Paused = false // a pause held the rollout that ends here
		if !s.Phase.Ended() {
			next.Step, next.Switched = s.Step, s.Switched
		}
	}
	return next
}

// Resume ends a pause: that of a canary step, of a blue/green switch, or one by
// a user.
func (s State) Resume(now time.Time) State {
	s.Resumed = !s.Paused
	s.Paused, s.Progress = false, now
	return s
}
