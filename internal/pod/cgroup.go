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

// cgroupRoot is the parent of the pods' cgroups: ours with our own containerd,
// one for each Options.Root, and the runtime's choice with another.
func cgroupRoot(d *containerd.Daemon, root string) string {
	if !d.Private() {
		return ""
	}
	return cgroupName(root, d.SystemdCgroups())
}

func cgroupName(root string, slice bool) string {
	name := "adamant"
	if filepath.Clean(root) != containerd.DefaultRoot {
		name += "_" + rootID(root) // no dash: that would nest slices
	}
	if slice {
		return name + ".slice"
	}
	return "/" + name
}

// cgroups are the cgroups of all pods of one root, below one parent: a path, a
// slice of systemd, or empty if the runtime chooses them.
type cgroups struct{ parent string }

// podParent is the cgroup that a pod's containers are put below: a path, or
// a slice where systemd keeps the cgroups.
func (c cgroups) podParent(uid string) string {
	if slice, ok := strings.CutSuffix(c.parent, ".slice"); ok {
		return slice + "-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"
	}
	if c.parent == "" {
		return ""
	}
	return filepath.Join(c.parent, uid)
}

// dirs are the directories of a cgroup below that of all pods, of that
// itself if sub is empty: one in a cgroup v2, one for each hierarchy in v1.
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

// cgroupMounts are where the hierarchies are mounted.
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

// limitPIDs bounds how many processes the whole pod may have, so that one that
// forks without end harms only itself. The pod's cgroup is there once its
// sandbox is.
func (c cgroups) limitPIDs(uid string, limit int64) error {
	if limit < 0 {
		return nil
	}
	for _, dir := range c.dirs(c.podParent(uid)) {
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

// removeSharedCgroup removes the cgroup of all pods if there is none. With the
// lock of names no other process creates one at the same time, whose cgroup the runtime could not
// make any more once it has seen the one above it.
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
		// A runtime may still be creating a sandbox that no process waits for. The
		// next removal tries again.
		_ = removeEmptyTree(dir)
	}
	return nil
}

// removeEmptyTree removes directories only: the files of a cgroup go with it.
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
