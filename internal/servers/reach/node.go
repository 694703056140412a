package reach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A node is a file in /dev or /run, which are in memory: no scan reads them, and no
// copy of a disk contains them.
type node struct {
	Path    string    `json:"path"`
	Kind    tree.Kind `json:"kind"`
	Mode    uint32    `json:"mode"`
	UID     uint32    `json:"uid,omitempty"`
	GID     uint32    `json:"gid,omitempty"`
	Major   uint32    `json:"major,omitempty"`
	Minor   uint32    `json:"minor,omitempty"`
	Target  string    `json:"target,omitempty"`
	Content []byte    `json:"content,omitempty"` // of configuration, see isRunConfig
}

// Bounds on the nodes that are recorded.
const (
	maxNodes       = 20_000
	maxNodeDepth   = 6
	maxNodeContent = 64 << 10 // bytes of one file
)

// runConfigs are the directories of /run with configuration of programs. People and
// changes write there; in other directories programs keep their state.
var runConfigs = []string{
	"/run/systemd/system", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/network", "/run/systemd/user",
	"/run/udev/rules.d", "/run/tmpfiles.d", "/run/sysctl.d", "/run/modprobe.d", "/run/modules-load.d", "/run/sysusers.d", "/run/faillock",
	"/run/sudo", "/run/pam.d", "/run/ssh", "/run/sshd",
}

// isRunConfig reports whether a file in /run is configuration.
func isRunConfig(p string) bool {
	// pam_nologin(8) refuses all users but root while this exists.
	return p == "/run/nologin" || slices.ContainsFunc(runConfigs, func(dir string) bool { return strings.HasPrefix(p, dir+"/") }) ||
		strings.Contains(p, ".conf.d/") && strings.HasSuffix(p, ".conf")
}

// isRecorded reports whether a node is recorded: of /run directories and
// configuration, of /dev everything but terminals and memory that is shared.
func isRecorded(e tree.Entry) bool {
	if slices.Contains([]string{"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/hugepages"}, path.Dir(e.Path)) {
		return false
	}
	if strings.HasPrefix(e.Path, "/run/"+OwnUnit) || strings.Contains(path.Base(e.Path), OwnUnit) {
		return false
	}
	return strings.HasPrefix(e.Path, "/dev/") && e.Kind != tree.Regular && e.Kind != tree.Socket || isRunConfig(e.Path) ||
		strings.HasPrefix(e.Path, "/run/") && e.Kind == tree.Directory
}

func readNodes(ctx context.Context, root *rootfs.Root) ([]node, error) {
	var list []node
	for _, top := range []string{"/dev", "/run"} {
		if e, err := root.Lstat(top); err == nil {
			list = append(list, readNode(root, e))
		}
		dirs := []string{top}
		for len(dirs) > 0 {
			dir := dirs[0]
			dirs = dirs[1:]
			entries, err := root.ReadDir(dir)
			if err != nil {
				continue // removed since its parent was read
			}
			for _, e := range entries {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if e.Kind == tree.Directory && strings.Count(e.Path, "/") < maxNodeDepth && !isSkippedDir(e.Path) {
					dirs = append(dirs, e.Path)
				}
				if !isRecorded(e) {
					continue
				}
				if list = append(list, readNode(root, e)); len(list) > maxNodes {
					return nil, fmt.Errorf("more than %d files in /dev and /run", maxNodes)
				}
			}
		}
	}
	return list, nil
}

// isSkippedDir reports whether a directory belongs to logins or to containers.
func isSkippedDir(p string) bool {
	return slices.Contains([]string{"/run/user", "/run/credentials", "/run/udev/data", "/run/containerd", "/run/docker", "/run/netns", "/run/" + OwnUnit}, p)
}

func readNode(root *rootfs.Root, e tree.Entry) node {
	n := node{Path: e.Path, Kind: e.Kind, Mode: e.Mode, UID: e.UID, GID: e.GID, Major: e.Major, Minor: e.Minor, Target: e.Target}
	if e.Kind == tree.Regular {
		if f, err := root.Open(e.Path); err == nil { // a file without content is restored empty
			defer f.Close()
			n.Content = make([]byte, maxNodeContent)
			size, _ := f.Read(n.Content)
			n.Content = n.Content[:size]
		}
	}
	return n
}

// readTop returns the root directory. sshd refuses keys if others may write to it.
func readTop(root *rootfs.Root) (node, error) {
	e, err := root.Lstat("/")
	if err != nil {
		return node{}, err
	}
	return node{Path: "/", Kind: e.Kind, Mode: e.Mode, UID: e.UID, GID: e.GID}, nil
}

func restoreTop(root *rootfs.Root, before node) error {
	if before.Path == "" {
		return nil
	}
	now, err := readTop(root)
	if err != nil || now.equal(before) {
		return err
	}
	dir, err := root.OpenDir("/")
	if err != nil {
		return err
	}
	defer dir.Close()
	return errors.Join(dir.Chown(int(before.UID), int(before.GID)), unix.Fchmod(int(dir.Fd()), before.Mode))
}

func (n node) equal(o node) bool {
	return n.Kind == o.Kind && n.Mode == o.Mode && n.UID == o.UID && n.GID == o.GID && n.Major == o.Major && n.Minor == o.Minor &&
		n.Target == o.Target && bytes.Equal(n.Content, o.Content)
}

// restoreNodes restores recorded nodes and removes additional configuration.
func restoreNodes(ctx context.Context, root *rootfs.Root, before []node) error {
	if before == nil {
		return nil
	}
	now, err := readNodes(ctx, root)
	if err != nil {
		return err
	}
	had, has := nodesByPath(before), nodesByPath(now)
	var errs []error
	for _, n := range slices.Backward(now) {
		if _, isOld := had[n.Path]; !isOld && isRunConfig(n.Path) {
			errs = append(errs, root.Remove(n.Path))
		}
	}
	for _, b := range before {
		if n, ok := has[b.Path]; ok && n.equal(b) || !ok && isState(b) {
			continue
		}
		e := tree.Entry{Path: b.Path, Kind: b.Kind, Mode: b.Mode, UID: b.UID, GID: b.GID, Major: b.Major, Minor: b.Minor, Target: b.Target,
			Size: int64(len(b.Content))}
		errs = append(errs, root.Put(ctx, e, bytes.NewReader(b.Content)))
	}
	return errors.Join(errs...)
}

// isState reports whether a program removes and creates a directory in /run as it
// works: those below the first level.
func isState(n node) bool {
	return n.Kind == tree.Directory && strings.HasPrefix(n.Path, "/run/") && strings.Count(n.Path, "/") > 2 && !isRunConfig(n.Path+"/")
}

func nodesByPath(list []node) map[string]node {
	m := map[string]node{}
	for _, n := range list {
		m[n.Path] = n
	}
	return m
}

func nodeDifference(before, now []node) (left []string) {
	if before == nil || now == nil {
		return nil
	}
	had, has := nodesByPath(before), nodesByPath(now)
	for _, p := range keys(had, has) {
		b, isOld := had[p]
		n, is := has[p]
		switch {
		case isOld && is && !b.equal(n):
			left = append(left, p)
		case isOld && !is && !isState(b):
			left = append(left, p+": missing")
		case !isOld && isRunConfig(p):
			left = append(left, p+": added")
		}
	}
	return left
}
