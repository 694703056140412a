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

// Where a private containerd lives if nothing else is said.
const (
	DefaultRoot  = "/var/lib/adamant" // images, their blobs and snapshots; survives a reboot
	DefaultState = "/run/adamant"     // sockets and what runs; gone after a reboot
)

// A layout holds the paths of one private containerd. Both directories
// are absolute and without symbolic links.
type layout struct{ root, state string }

// maxSocket is the longest path of a unix socket (sun_path less its NUL); the
// shims' sockets are elsewhere, under /run/containerd.
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
	// containerd's own second socket is address + ".ttrpc".
	if n := len(l.socket()) + len(".ttrpc"); n > maxSocket {
		return layout{}, fmt.Errorf("state directory %s is %d characters too long for a unix socket", l.state, n-maxSocket)
	}
	return l, nil
}

// RealPath returns a directory's absolute path without symbolic links, as the
// kernel lists mounts below it: a mount that is not found by its path would
// stay, and what is behind it be removed. What is not there yet is kept as it
// is written.
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

// bridge names the network interface: one of its own for each root, of at
// most 15 characters (IFNAMSIZ less its NUL).
func (l layout) bridge() string {
	if l.root == DefaultRoot {
		return "adamant0"
	}
	sum := sha256.Sum256([]byte(l.root))
	return "adm-" + hex.EncodeToString(sum[:5])
}

// marker is the file that marks a directory and everything in it as ours, which
// may be removed.
const marker = ".adamant"

// claim makes a directory ours. One with files of others is refused: Stop
// removes all.
func claim(dir string) error {
	if err := checkOwned(dir); err != nil {
		return err
	}
	// As containerd's own: others may pass, but not look.
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

// checkPrivate refuses a directory in which another user could put programs and
// configurations that root then runs and reads.
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

// checkOwned returns an error if a directory is there and neither ours nor
// empty.
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
			return nil // somebody has just claimed it
		}
		if e.Name() != "pods" { // package engine's
			return fmt.Errorf("directory %s has files of others (%s): not used, and not removed", dir, e.Name())
		}
	}
	return nil
}
