package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
)

// Where a private containerd lives if nothing else is said.
const (
	DefaultRoot  = "/var/lib/adamant" // images, their blobs and snapshots; survives a reboot
	DefaultState = "/run/adamant"     // sockets and what runs; gone after a reboot
)

// A layout says where everything of one private containerd lies. Both paths
// are absolute.
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
	if l.root, err = filepath.Abs(root); err != nil {
		return layout{}, err
	}
	if l.state, err = filepath.Abs(state); err != nil {
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
