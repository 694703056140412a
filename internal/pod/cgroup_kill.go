package pod

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kill kills the processes in the cgroup of a pod whose sandboxes the runtime has
// removed. If the runtime or a shim was killed, it may have left processes that
// it does not know any more. kill does not wait for their end.
func (c cgroups) kill(uid string) error {
	var errs []error
	for _, top := range c.dirs(c.podParent(uid)) {
		err := filepath.WalkDir(top, func(dir string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return ignoreGone(err)
			}
			return killProcesses(dir)
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// killProcesses kills the processes of one cgroup and thaws it. In cgroup v1 a
// frozen process, such as one that runc froze before it kills, does not handle
// SIGKILL until it is thawed.
func killProcesses(cgroup string) error {
	pids, err := processesOf(cgroup)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := killMember(cgroup, pid); err != nil {
			return err
		}
	}
	return ignoreGone(thaw(cgroup))
}

func thaw(cgroup string) error {
	f, err := os.OpenFile(filepath.Join(cgroup, "freezer.state"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("THAWED")
	return errors.Join(err, f.Close())
}

// killMember kills a process unless it has left the cgroup.
func killMember(cgroup string, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer unix.Close(fd)
	// The PID may have been reused before the pidfd was opened. If it is still
	// listed, the pidfd refers to a process of the cgroup or to one that has ended.
	now, err := processesOf(cgroup)
	if err != nil || !slices.Contains(now, pid) {
		return err
	}
	return ignoreGone(unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0))
}

func processesOf(cgroup string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	if err != nil {
		return nil, ignoreGone(err)
	}
	var pids []int
	for _, field := range strings.Fields(string(data)) {
		// 0 is a process outside of this PID namespace.
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// ignoreGone returns nil for an error that occurs because a file (ENOENT), a
// process (ESRCH) or a cgroup that is being read (ENODEV) is gone.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
