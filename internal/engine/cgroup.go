package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/engine/containerd"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroupRoot is the parent of the pods' cgroups: ours with our own containerd,
// the runtime's choice with another.
func cgroupRoot(d *containerd.Daemon) string {
	switch {
	case !d.Private():
		return ""
	case d.SystemdCgroups():
		return "adamant.slice"
	}
	return "/adamant"
}

// cgroupParent is the cgroup that a pod's containers are put below: a path, or
// a slice where systemd keeps the cgroups.
func (n node) cgroupParent(uid string) string {
	if slice, ok := strings.CutSuffix(n.cgroup, ".slice"); ok {
		return slice + "-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"
	}
	if n.cgroup == "" {
		return ""
	}
	return filepath.Join(n.cgroup, uid)
}

// cgroupDirs are the directories of a pod's cgroup: one in a cgroup v2, one
// for each hierarchy in v1.
func (n node) cgroupDirs(uid string) []string {
	parent := n.cgroupParent(uid)
	if parent == "" {
		return nil
	}
	if strings.HasSuffix(parent, ".slice") {
		parent = filepath.Join(n.cgroup, parent)
	}
	dirs := []string{filepath.Join(cgroupMount, parent)}
	if exists(filepath.Join(cgroupMount, "cgroup.controllers")) {
		return dirs
	}
	hierarchies, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil
	}
	dirs = nil
	for _, h := range hierarchies {
		if dir := filepath.Join(cgroupMount, h.Name(), parent); h.IsDir() && exists(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// limitPIDs bounds how many processes the whole pod may have, so that one that
// forks without end harms only itself. The pod's cgroup is there once its
// sandbox is.
func (n node) limitPIDs(uid string, limit int64) error {
	if limit < 0 {
		return nil
	}
	for _, dir := range n.cgroupDirs(uid) {
		err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte(strconv.FormatInt(limit, 10)), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// removeCgroup removes the pod's cgroup, which the runtime leaves behind.
func (n node) removeCgroup(uid string) error {
	var errs []error
	for _, dir := range n.cgroupDirs(uid) {
		if err := removeEmptyTree(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeEmptyTree removes directories only: the files of a cgroup go with it.
func removeEmptyTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeEmptyTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
