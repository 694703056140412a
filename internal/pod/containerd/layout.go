package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Default directories of a private containerd.
const (
	DefaultRoot  = "/var/lib/adamant" // images, their blobs and snapshots; survives a reboot
	DefaultState = "/run/adamant"     // sockets and the state of containers; removed by a reboot
)

// A layout holds the directories of a private containerd. Both paths are
// absolute and without symbolic links.
type layout struct{ root, state string }

// maxSocket is the maximum length of the path of a Unix socket: sun_path without
// its NUL, see unix(7). The shims' sockets are not below the layout but in
// /run/containerd.
const maxSocket = 107

func newLayout(root, state string) (layout, error) {
	if root == "" {
		root = DefaultRoot
	}
	if state == "" {
		state = DefaultState
	}
	var l layout
	var err error
	if l.root, err = RealPath(root); err != nil {
		return layout{}, err
	}
	if l.state, err = RealPath(state); err != nil {
		return layout{}, err
	}
	if l.root == l.state {
		return layout{}, fmt.Errorf("root and state are both %s", l.root)
	}
	// The second socket of containerd is address + ".ttrpc".
	if n := len(l.socket()) + len(".ttrpc"); n > maxSocket {
		return layout{}, fmt.Errorf("state directory %s is %d characters too long for a unix socket", l.state, n-maxSocket)
	}
	return l, nil
}

// RealPath returns the absolute path of a directory without symbolic links, as
// the mount table has it. A mount that is not found there would not be
// unmounted, and the files behind it would be removed. Elements of the path that
// do not exist yet are kept.
func RealPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || at == "/" {
			return "", fmt.Errorf("resolve %s: %w", abs, err)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

func (l layout) containerdRoot() string  { return filepath.Join(l.root, "containerd") }
func (l layout) containerdState() string { return filepath.Join(l.state, "containerd") }
func (l layout) socket() string          { return filepath.Join(l.state, "containerd.sock") }
func (l layout) configDir() string       { return filepath.Join(l.root, "config") }
func (l layout) cniConfDir() string      { return filepath.Join(l.root, "cni") }
func (l layout) cniData() string         { return filepath.Join(l.state, "cni") }
func (l layout) instance() string        { return filepath.Join(l.root, "instance.json") }
func (l layout) runcRoot() string        { return filepath.Join(l.state, "runc") }
func (l layout) binDir() string          { return filepath.Join(l.state, "bin") }
func (l layout) viewDir() string         { return filepath.Join(l.state, "views") }
func (l layout) log() string             { return filepath.Join(l.root, "containerd.log") }
func (l layout) lock() string            { return filepath.Join(l.root, "lock") }

// bridge returns the name of the network interface, which is different for each
// root. It has at most 15 characters (IFNAMSIZ without its NUL).
func (l layout) bridge() string {
	if l.root == DefaultRoot {
		return "adamant0"
	}
	sum := sha256.Sum256([]byte(l.root))
	return "adm-" + hex.EncodeToString(sum[:5])
}

// marker is the name of the file that marks a directory as Adamant's. Stop may
// remove everything in such a directory.
const marker = ".adamant"

// claim creates a directory if needed and marks it. It refuses a directory with
// other files, because Stop would remove them.
func claim(dir string) error {
	if err := checkOwned(dir); err != nil {
		return err
	}
	// Mode 0711, as for containerd's own directories: other users can traverse
	// but not list it.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	if err := checkPrivate(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, marker), os.O_CREATE|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkPrivate returns an error if another user may write to a directory: root
// would run programs and read configurations of that user.
func checkPrivate(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("directory %s is user %d's with mode %04o: others may write to it (chown root and chmod go-w, or take another)", dir, st.Uid, st.Mode&0o7777)
	}
	return nil
}

// checkOwned returns an error if a directory has files but no marker.
func checkOwned(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, marker)); err == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() == marker {
			return nil // another process has just marked it
		}
		if e.Name() != "pods" { // created by package pod
			return fmt.Errorf("directory %s has files of others (%s): not used, and not removed", dir, e.Name())
		}
	}
	return nil
}
