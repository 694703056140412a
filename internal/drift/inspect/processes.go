package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// cgroupID is the ID of a container in the path of its cgroup.
var cgroupID = regexp.MustCompile(`[0-9a-f]{64}`)

// maxProcesses is the number of processes of a container that are inspected.
const maxProcesses = 4096

var errManyProcesses = fmt.Errorf("it has more than %d, which are not all inspected", maxProcesses)

// errNoCgroup is returned for a process that has no cgroup of its own.
var errNoCgroup = errors.New("it has no cgroup of its own")

// processesOf lists the processes in the cgroup of a container's first process, and in those
// below it. After an error some of them may be missing.
func processesOf(ctx context.Context, pid int) ([]int, error) {
	dir, err := cgroupOf(pid)
	if err != nil {
		return []int{pid}, err
	}
	var pids []int
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // a cgroup that was removed has no processes
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		list, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil //nolint:nilerr // as above, or a threaded cgroup, whose processes are in the one above
		}
		for line := range strings.Lines(string(list)) {
			if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && n > 0 {
				pids = append(pids, n)
			}
		}
		if len(pids) > maxProcesses {
			return errManyProcesses
		}
		return nil
	})
	slices.Sort(pids)
	return slices.Compact(pids), err
}

// cgroupOf returns the directory of a process's cgroup: the one of cgroup v2, or of v1 the
// first that is not the root of its hierarchy.
func cgroupOf(pid int) (string, error) {
	lines, err := os.ReadFile(procFile(pid, "cgroup"))
	if err != nil {
		return "", err
	}
	table, err := mounts.Self()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(lines)) {
		// hierarchy-ID:controller-list:cgroup-path, see cgroups(7).
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || fields[2] == "/" {
			continue
		}
		for _, m := range table {
			isIts := m.Type == "cgroup2" && fields[1] == "" || m.Type == "cgroup" && fields[1] != "" && hasOptions(m.SuperOptions, fields[1])
			if !isIts || !isAtOrBelow(fields[2], m.Root) {
				continue
			}
			dir := filepath.Join(m.Point, strings.TrimPrefix(fields[2], m.Root))
			if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
				return dir, nil
			}
		}
	}
	return "", errNoCgroup
}

// hasOptions reports whether the options of a hierarchy have all of its controllers.
func hasOptions(options, controllers string) bool {
	all := strings.Split(options, ",")
	for _, c := range strings.Split(controllers, ",") {
		if !slices.Contains(all, c) {
			return false
		}
	}
	return true
}
