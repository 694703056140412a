package pod

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// A layout holds the paths of the files of one pod below Options.Root. Beside the
// files that the containers use (see translate.Layout), these are:
//
//	pods/<uid>/lock        locked while the pod is created, changed or removed
//	pods/<uid>/pod.json    the record
//	pods/<uid>/committed   exists once the pod is complete
//	pods/<uid>/prepared    ID of the sandbox in which the containers can be started
//	pods/<uid>/crashes/    the latest crash of each container that is restarted
//	pods/<uid>/owner       of an ephemeral pod: locked while its creator runs
//	pods/<uid>/removing    exists once the removal has begun; contains when its grace period ends, see Terminate
//	pods/<uid>/retired     exists once an ended pod has released its sandbox and volumes, see Retire
//	pods/<uid>/stopped     exists once the pod must not run; contains the reason
//	pods/<uid>/supervisor  locked while a process supervises the pod
type layout struct{ translate.Layout }

func newLayout(root, uid string) layout {
	return layout{translate.Layout{RootID: rootID(root), UID: uid, Dir: filepath.Join(podsDir(root), uid)}}
}

// labels selects the sandboxes and containers of the pod in the runtime.
func (l layout) labels() map[string]string {
	return map[string]string{translate.LabelPodUID: l.UID, translate.LabelRoot: l.RootID}
}

func podsDir(root string) string { return filepath.Join(root, "pods") }

// rootID returns a label value that identifies a root directory.
func rootID(root string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(root)))
	return hex.EncodeToString(sum[:8])
}

func (l layout) lock() string       { return filepath.Join(l.Dir, "lock") }
func (l layout) record() string     { return filepath.Join(l.Dir, "pod.json") }
func (l layout) committed() string  { return filepath.Join(l.Dir, "committed") }
func (l layout) prepared() string   { return filepath.Join(l.Dir, "prepared") }
func (l layout) owner() string      { return filepath.Join(l.Dir, "owner") }
func (l layout) removing() string   { return filepath.Join(l.Dir, "removing") }
func (l layout) retired() string    { return filepath.Join(l.Dir, "retired") }
func (l layout) stopped() string    { return filepath.Join(l.Dir, "stopped") }
func (l layout) supervisor() string { return filepath.Join(l.Dir, "supervisor") }

// isStopping reports whether the pod must not run any more: it was stopped, or it
// is being removed, which deletes the file committed.
func (l layout) isStopping() bool {
	return !exists(l.committed()) || exists(l.stopped())
}

// nextAttempt returns the number of a container's next attempt: one more than that
// of the last log. Logs stay when the runtime removes a container.
func (l layout) nextAttempt(container string) uint32 {
	logs, err := os.ReadDir(filepath.Join(l.Logs(), container))
	if err != nil {
		return 0
	}
	var next uint64
	for _, log := range logs {
		digits, _, _ := strings.Cut(log.Name(), ".")
		if n, err := strconv.ParseUint(digits, 10, 31); err == nil {
			next = max(next, n+1)
		}
	}
	return uint32(next)
}
