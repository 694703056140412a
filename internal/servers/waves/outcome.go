package waves

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

// An Outcome is the result of a run on one server.
type Outcome string

// The outcomes.
const (
	Changed     Outcome = "changed"   // as the job requests
	Unchanged   Outcome = "unchanged" // nothing is different; a success unless it failed
	HalfChanged Outcome = "half changed"
	RolledBack  Outcome = "rolled back"
	Unreachable Outcome = "unreachable" // before the change began, or not heard of since then
	NotBegun    Outcome = "not begun"   // the run ended before the server's turn
)

// A Result is the outcome of a run on one server, with its reason.
type Result struct {
	Server  string       `json:"server"`
	Wave    int          `json:"wave"` // from 1
	Outcome Outcome      `json:"outcome"`
	Failed  bool         `json:"failed"`
	Cause   string       `json:"cause,omitempty"` // one sentence
	Change  change.State `json:"change,omitzero"`
	Reboot  *Reboot      `json:"reboot,omitempty"` // nil if the server was not rebooted
}

// Succeeded reports whether a server is in the state that the run was to produce. For
// an undo that includes RolledBack, which is a failure of an update (Failed).
func (r Result) Succeeded() bool {
	return !r.Failed && (r.Outcome == Changed || r.Outcome == Unchanged || r.Outcome == RolledBack)
}

// CanUndo reports whether the change may have had an effect. A server that became
// unreachable may have been changed.
func (r Result) CanUndo() bool {
	return r.Change.ID != "" && (r.Outcome == Changed || r.Outcome == HalfChanged || r.Outcome == Unreachable)
}

// resultOf derives the result from the last state that a server reported and from the
// error if it did not report the end. An error wins over the state, because a state
// before the end proves nothing.
func resultOf(st change.State, err error) Result {
	r := Result{Change: st, Failed: st.Failed, Cause: st.Cause}
	switch {
	case err != nil && st.Stage == "":
		r.Outcome, r.Failed, r.Cause = Unreachable, true, err.Error()
	case err != nil:
		r.Outcome, r.Failed, r.Cause = Unreachable, true, fmt.Sprintf("it was %s when it was last heard of: %v", st.Stage, err)
	case st.Stage == change.Reverted:
		r.Outcome, r.Failed, r.Cause = RolledBack, true, whyReverted(st)
		if st.Undo != nil && (st.Undo.Cause != "" || len(st.Undo.Left) > 0) {
			r.Outcome = HalfChanged
		}
	case st.Stage == change.Interrupted:
		r.Outcome, r.Failed = HalfChanged, true
	case !st.Changed():
		r.Outcome = Unchanged
	case st.Failed:
		r.Outcome = HalfChanged
	default:
		r.Outcome = Changed
	}
	return r
}

// whyReverted returns the reason of an undo, and the first thing that it did not
// restore.
func whyReverted(st change.State) string {
	if st.Undo == nil {
		return st.Cause
	}
	why := st.Undo.Why
	if st.Cause != "" {
		why = st.Cause + "; " + why
	}
	if st.Undo.Cause != "" {
		return why + "; it could not be taken back: " + st.Undo.Cause
	}
	if len(st.Undo.Left) > 0 {
		return fmt.Sprintf("%s; not as it was: %s%s", why, st.Undo.Left[0], andMore(st.Undo.LeftCount-1))
	}
	return why
}

func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
