package waves

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

// An Outcome is what became of one server.
type Outcome string

// The outcomes.
const (
	Changed     Outcome = "changed"   // as asked for
	Unchanged   Outcome = "unchanged" // nothing is different; fine unless it failed
	HalfChanged Outcome = "half changed"
	RolledBack  Outcome = "rolled back"
	Unreachable Outcome = "unreachable" // before anything was begun, or not known since
	NotBegun    Outcome = "not begun"   // the run ended before it was its turn
)

// A Result is what became of one server, and why.
type Result struct {
	Server  string       `json:"server"`
	Wave    int          `json:"wave"` // from 1
	Outcome Outcome      `json:"outcome"`
	Failed  bool         `json:"failed"`
	Cause   string       `json:"cause,omitempty"` // in a sentence
	Change  change.State `json:"change,omitzero"`
}

// Fine reports whether a server is as it should be; one that was rolled back is if
// that was asked for.
func (r Result) Succeeded() bool {
	return !r.Failed && (r.Outcome == Changed || r.Outcome == Unchanged || r.Outcome == RolledBack)
}

// CanUndo reports whether there may be something to take back.
func (r Result) CanUndo() bool {
	return r.Change.ID != "" && (r.Outcome == Changed || r.Outcome == HalfChanged || r.Outcome == Unreachable)
}

// judge says what became of a server from what it told, or from why it does not.
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

// whyReverted says why a change was taken back, and what of it could not be.
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
