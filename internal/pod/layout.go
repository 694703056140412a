package pod

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
)

// A layout is where the files of one pod are:
//
//	pods/<uid>/lock                  held while the pod is created or removed
//	pods/<uid>/pod.json              what was asked for
//	pods/<uid>/committed             there once the pod is whole
//	pods/<uid>/owner                 of an ephemeral pod: held while its creator lives
//	pods/<uid>/etc-hosts
//	pods/<uid>/volumes/<plugin>/<name>
//	pods/<uid>/volume-subpaths/<volume>/<container>/<index>
//	pods/<uid>/containers/<name>/termination-log.<attempt>
//	pods/<uid>/logs/<container>/<attempt>.log
type layout struct {
	rootID string // names the Options.Root in labels
	uid    string
	dir    string // pods/<uid>
}

func newLayout(root, uid string) layout {
	return layout{rootID: rootID(root), uid: uid, dir: filepath.Join(podsDir(root), uid)}
}

func podsDir(root string) string { return filepath.Join(root, "pods") }

// rootID is a label value that stands for a root directory.
func rootID(root string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(root)))
	return hex.EncodeToString(sum[:8])
}

func (l layout) lock() string      { return filepath.Join(l.dir, "lock") }
func (l layout) record() string    { return filepath.Join(l.dir, "pod.json") }
func (l layout) committed() string { return filepath.Join(l.dir, "committed") }
func (l layout) etcHosts() string  { return filepath.Join(l.dir, "etc-hosts") }
func (l layout) logs() string      { return filepath.Join(l.dir, "logs") }
func (l layout) volumes() string   { return filepath.Join(l.dir, "volumes") }
func (l layout) subpaths() string  { return filepath.Join(l.dir, "volume-subpaths") }

// volume is the host directory of a volume, below the plugin's escaped name as
// a kubelet has it.
func (l layout) volume(plugin, name string) string {
	return filepath.Join(l.volumes(), strings.ReplaceAll(plugin, "/", "~"), name)
}

func (l layout) subpath(volume, container string, index int) string {
	return filepath.Join(l.subpaths(), volume, container, fmt.Sprint(index))
}

func (l layout) container(name string) string {
	return filepath.Join(l.dir, "containers", name)
}

func (l layout) terminationLog(container string, attempt uint32) string {
	return filepath.Join(l.container(container), fmt.Sprintf("termination-log.%d", attempt))
}

// logPath is a container's log file, relative to logs.
func logPath(container string, attempt uint32) string {
	return filepath.Join(container, fmt.Sprintf("%d.log", attempt))
}

// owner is held by the creator of an ephemeral pod as long as that lives.
func (l layout) owner() string { return filepath.Join(l.dir, "owner") }

func (l layout) removing() string { return filepath.Join(l.dir, "removing") }

func (l layout) stopped() string { return filepath.Join(l.dir, "stopped") }

func (l layout) supervisor() string { return filepath.Join(l.dir, "supervisor") }
