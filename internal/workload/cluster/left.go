package cluster

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A LeftError is returned, beside the reason, for a rollout that was left before its
// end: at a signal, at Options.Timeout or after an error.
type LeftError struct{ State, Next string }

// Error returns the state in which the Deployment is.
func (e *LeftError) Error() string { return e.State }

// Mend returns how to go on.
func (e *LeftError) Mend() string { return e.Next }

// left returns the state in which a rollout is left, nil if it was not begun.
func (w *workload) left() error {
	r := w.record
	if w.apply == "" || r.Apply != w.apply || r.Phase.Ended() {
		return nil
	}
	name, resource := "Deployment "+w.String(), fmt.Sprintf("-n %s deployment/%s", w.namespace, w.name)
	switch {
	case r.Paused:
		return &LeftError{name + " is paused",
			"kubectl rollout resume " + resource + " ends the pause, another apply watches it then"}
	case r.Phase == rollout.RollingBack:
		return &LeftError{fmt.Sprintf("%s is going back to generation %d, by its own controller", name, r.Target),
			"nothing needs to be done; kubectl rollout status " + resource + " shows how far it is"}
	case r.isTried(w.observed):
		return &LeftError{fmt.Sprintf("%s runs its old version; generation %d runs beside it, as Deployment %s", name, r.Target, r.Trial),
			fmt.Sprintf("apply again to go on, or end the trial: kubectl delete -n %s deployment/%s", w.namespace, r.Trial)}
	}
	return &LeftError{fmt.Sprintf("%s goes on to generation %d, by its own controller, which does not roll it back if it fails", name, r.Target),
		"apply again to watch it, or kubectl rollout undo " + resource}
}
