package pod

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroupRoot returns the parent of the pods' cgroups. The private containerd has
// one for each Options.Root. It is "" for other runtimes, which choose their own.
func cgroupRoot(d *containerd.Daemon, root string) string {
	if !d.Private() {
		return ""
	}
	return cgroupName(root, d.SystemdCgroups())
}

func cgroupName(root string, slice bool) string {
	name := "adamant"
	if filepath.Clean(root) != containerd.DefaultRoot {
		name += "_" + rootID(root) // systemd nests slices at each dash
	}
	if slice {
		return name + ".slice"
	}
	return "/" + name
}

// cgroups manages the cgroups of all pods of a root. They have one parent: a
// path, a systemd slice, or "" if the runtime chooses it.
type cgroups struct{ parent string }

// podParent returns the parent cgroup of a pod's containers: a path, or a slice
// if systemd manages the cgroups.
func (c cgroups) podParent(uid string) string {
	if slice, ok := strings.CutSuffix(c.parent, ".slice"); ok {
		return slice + "-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"
	}
	if c.parent == "" {
		return ""
	}
	return filepath.Join(c.parent, uid)
}

// dirs returns the directories of the cgroup sub below the parent, or of the
// parent itself if sub is empty: one in cgroup v2, one for each hierarchy in v1.
func (c cgroups) dirs(sub string) []string {
	if c.parent == "" {
		return nil
	}
	path := filepath.Join(c.parent, filepath.Base(sub))
	if sub == "" {
		path = c.parent
	}
	var dirs []string
	for _, mount := range cgroupMounts() {
		if dir := filepath.Join(mount, path); exists(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// cgroupMounts returns the mount points of the cgroup hierarchies.
func cgroupMounts() []string {
	if exists(filepath.Join(cgroupMount, "cgroup.controllers")) {
		return []string{cgroupMount}
	}
	hierarchies, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil
	}
	var out []string
	for _, h := range hierarchies {
		if h.IsDir() {
			out = append(out, filepath.Join(cgroupMount, h.Name()))
		}
	}
	return out
}

// limitPIDs bounds the number of processes of a pod, so that a fork bomb harms
// only its own pod. The pod's cgroup exists once its sandbox exists.
func (c cgroups) limitPIDs(uid string, limit int64) error {
	if limit < 0 {
		return nil
	}
	for _, dir := range c.dirs(c.podParent(uid)) {
		// In v1 only the hierarchy of the pids controller has the file, and in
		// the others cgroupfs does not allow to create one.
		err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte(strconv.FormatInt(limit, 10)), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// remove removes the pod's cgroup, which the runtime leaves behind.
func (c cgroups) remove(uid string) error {
	var errs []error
	for _, dir := range c.dirs(c.podParent(uid)) {
		if err := removeEmptyTree(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeSharedCgroup removes the parent cgroup if there are no pods. It holds the
// lock on names, so that no other process creates a pod at the same time: the
// runtime fails if the parent is removed while it creates the pod's cgroup.
func (e *Engine) removeSharedCgroup() error {
	if len(e.cgroups.dirs("")) == 0 {
		return nil
	}
	names, err := e.lockNames()
	if err != nil {
		return err
	}
	defer names.release()
	uids, err := podUIDs(e.opts.Root)
	if err != nil || len(uids) > 0 {
		return err
	}
	for _, dir := range e.cgroups.dirs("") {
		// An error is ignored: the runtime may still be creating a sandbox for a
		// killed process. The next removal tries again.
		_ = removeEmptyTree(dir)
	}
	return nil
}

// removeEmptyTree removes the directories of a tree. The files of a cgroup cannot
// be unlinked; rmdir removes them with the cgroup.
func removeEmptyTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err := removeEmptyTree(filepath.Join(dir, e.Name()))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return os.Remove(dir)
}
