// Package rollout decides how one generation of a workload is replaced by the
// next, and how the current one is kept: which instances are made and removed,
// who gets traffic, when a rollout has failed and goes back.
//
// It is pure. Next takes a state and what was observed, and returns the next
// state and what is to be done. Whoever carries that out, the engine on this
// machine or a Kubernetes cluster, decides nothing.
package rollout

import (
	"time"
)

// A Phase is where a workload is between two generations.
type Phase string

// The phases. A rollout has ended in all but the first two.
const (
	Progressing Phase = "Progressing"
	RollingBack Phase = "RollingBack"
	Complete    Phase = "Complete"   // the target is what runs
	RolledBack  Phase = "RolledBack" // the target failed, and what ran before runs again
	Failed      Phase = "Failed"     // it failed and there was nothing to go back to, or going back failed too
)

// Ended reports whether no rollout is under way.
func (p Phase) Ended() bool { return p != Progressing && p != RollingBack }

// A State is all that must be remembered between two calls of Next. The zero
// value is a workload that never ran.
type State struct {
	Target int   `json:"target"`           // generation that is to run
	Stable int   `json:"stable,omitempty"` // generation that completed its rollout last; 0 if none did
	From   int   `json:"from,omitempty"`   // generation that was aborted, in RollingBack and after
	Phase  Phase `json:"phase"`

	Reason   string    `json:"reason,omitempty"` // why it is not simply Complete
	Began    time.Time `json:"began"`
	Progress time.Time `json:"progress"`       // when the rollout last got on
	Best     int       `json:"best,omitempty"` // available instances of the target at that time

	Step     int       `json:"step,omitempty"`    // of a canary
	Held     time.Time `json:"held,omitzero"`     // since when the step is reached and its pause runs
	Switched time.Time `json:"switched,omitzero"` // blue/green: when traffic moved
	Resumed  bool      `json:"resumed,omitempty"` // somebody ended the pause
	Passed   string    `json:"passed,omitempty"`  // the last gate that let pass
	Paused   bool      `json:"paused,omitempty"`  // by hand: nothing is replaced

	Withheld int         `json:"withheld,omitempty"` // instances that were stopped for drift and not replaced
	Spent    bool        `json:"spent,omitempty"`    // the budget for drift is used up, and that was said
	Replaced []time.Time `json:"replaced,omitempty"` // when instances were replaced for drift, within the budget's time
}

// Drift is what is known of an instance's difference from its image.
type Drift string

// What can be known. Not to have been looked at is no drift, and no proof that
// there is none.
const (
	Unchecked Drift = ""
	Clean     Drift = "Clean"
	Drifted   Drift = "Drifted"
	Unknown   Drift = "Unknown" // it could not be compared
)

// An Instance is one instance as it was observed.
type Instance struct {
	ID         string
	Generation int
	Created    time.Time
	Ready      bool
	ReadySince time.Time // it is ready
	Crashes    int
	Reason     string // of its last crash
	Drift      Drift
	Ending     bool // it is being drained and removed
}

// An Observation is what is true of a workload at one moment.
type Observation struct {
	Instances []Instance
	Failed    map[int]Failure // generations of which instances could not be made at all
	Gate      GateResult      // of the gate that was asked for last
	Fault     string          // what the traffic says against the target; empty if nothing
}

// A Failure counts how often an instance could not be made.
type Failure struct {
	Times  int
	Reason string
}

// A GateResult is what a gate said.
type GateResult struct {
	Gate   string // its name, as in Decision.Gate
	Done   bool
	Reason string // why it does not let pass; empty if it does
}

// A Decision is what is to be done now. It is complete in itself: to carry out
// the same decision twice, or only a part of it, does no harm.
type Decision struct {
	Create  map[int]int // instances to make, by generation
	Remove  []string    // instances to drain and remove
	Isolate []string    // instances to take out of traffic, and to keep
	Shares  map[int]int // of new traffic, by generation; they add up to 100
	Gate    string      // gate to ask now; empty for none
	Wake    time.Time   // when time alone changes something; zero if never
	Events  []Event
}

// An Event is something worth remembering.
type Event struct {
	Reason  string // one word: Promoted, Complete, RollingBack, RolledBack, Failed, Paused, DriftReplaced, DriftBudget
	Message string
}

// Begin is the state in which a generation starts to be rolled out.
func (s State) Begin(generation int, now time.Time) State {
	return State{
		Target: generation, Stable: s.Stable, Phase: Progressing,
		Began: now, Progress: now, Paused: s.Paused, Replaced: s.Replaced,
	}
}

// Resume ends the pause that a canary or a blue/green rollout makes, or one
// made by hand.
func (s State) Resume(now time.Time) State {
	s.Resumed = !s.Paused
	s.Paused, s.Progress = false, now
	return s
}
