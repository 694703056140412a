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

// A layout names the files of one pod below Options.Root. Beside those that the
// containers use (see translate.Layout), they are:
//
//	pods/<uid>/lock        held while the pod is created or removed
//	pods/<uid>/pod.json    the record
//	pods/<uid>/committed   exists once the pod is whole
//	pods/<uid>/owner       of an ephemeral pod: held while its creator lives
//	pods/<uid>/removing    exists once its removal began
//	pods/<uid>/stopped     exists once the pod is not to run any more; the reason
//	pods/<uid>/supervisor  held while a process supervises the pod
type layout struct{ translate.Layout }

func newLayout(root, uid string) layout {
	return layout{translate.Layout{RootID: rootID(root), UID: uid, Dir: filepath.Join(podsDir(root), uid)}}
}

func podsDir(root string) string { return filepath.Join(root, "pods") }

// rootID is a label value that stands for a root directory.
func rootID(root string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(root)))
	return hex.EncodeToString(sum[:8])
}

func (l layout) lock() string       { return filepath.Join(l.Dir, "lock") }
func (l layout) record() string     { return filepath.Join(l.Dir, "pod.json") }
func (l layout) committed() string  { return filepath.Join(l.Dir, "committed") }
func (l layout) owner() string      { return filepath.Join(l.Dir, "owner") }
func (l layout) removing() string   { return filepath.Join(l.Dir, "removing") }
func (l layout) stopped() string    { return filepath.Join(l.Dir, "stopped") }
func (l layout) supervisor() string { return filepath.Join(l.Dir, "supervisor") }

// isStopping reports whether the pod is not to run any more.
func (l layout) isStopping() bool {
	return !exists(l.committed()) || exists(l.stopped())
}

// nextAttempt is the number of a container's next attempt: one more than the
// last that left a log, because logs stay when the runtime forgets a container.
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
