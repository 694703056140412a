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

// kill kills the processes that still run in the cgroup of a pod that the runtime
// knows nothing of any more: a runtime or shim that was killed itself may leave
// a process that nobody waits for. It is not awaited.
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

// killProcesses kills the processes of one cgroup. In a cgroup v1 one that was
// frozen, as runc does before it kills, would not die before it is thawed.
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

// killMember kills a process if it is still the one in the cgroup, and not
// another that got its number.
func killMember(cgroup string, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer unix.Close(fd)
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
		// 0 is a process of a pid namespace that is not seen from here.
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// ignoreGone drops the errors of things that were removed: a file, a cgroup that was
// removed while it was read (ENODEV), a process.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
