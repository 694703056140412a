package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/mounts"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Live compares what a running container has besides its files, by its first process and
// its ID, if that is known: the mounts in each of its mount namespaces, with those of its
// specification, and the programs that run without a file. A container that has ended has
// none of this.
func Live(ctx context.Context, pid int, id string) drift.Report {
	var r drift.Report
	if !isOf(pid, id) {
		return r
	}
	processes, err := processesOf(ctx, pid)
	if err != nil {
		r.Unknowns = append(r.Unknowns, tree.Unknown{Path: "/", Err: fmt.Errorf("list its processes: %w", err)})
		processes = []int{pid}
	}
	err = liveMounts(pid, id, processes, &r)
	if err != nil && isOf(pid, id) {
		r.Unknowns = append(r.Unknowns, tree.Unknown{Path: "/", Err: fmt.Errorf("compare its mounts: %w", err)})
	}
	r.Changes = append(r.Changes, livePrograms(ctx, processes)...)
	slices.SortStableFunc(r.Changes, func(a, b drift.Change) int { return tree.ComparePaths(a.Path, b.Path) })
	return r
}

// isOf reports whether a process exists and, as far as its cgroup has an ID, is one of the
// container.
func isOf(pid int, id string) bool {
	cgroup, err := os.ReadFile(procFile(pid, "cgroup"))
	if err != nil {
		return false
	}
	return len(id) != 64 || !cgroupID.Match(cgroup) || bytes.Contains(cgroup, []byte(id))
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// maxSpec bounds a config.json, in bytes.
const maxSpec = 16 << 20

func readSpec(b overlay.Bundle) (containerSpec, error) {
	var spec containerSpec
	f, err := b.Open("config.json")
	if err != nil {
		return spec, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSpec))
	if err != nil {
		return spec, err
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return spec, fmt.Errorf("config.json: %w", err)
	}
	if b.Namespace == 0 {
		for i := range spec.Mounts {
			if source, err := filepath.EvalSymlinks(spec.Mounts[i].Source); err == nil && spec.Mounts[i].isBind() {
				spec.Mounts[i].Source = source
			}
		}
	}
	return spec, nil
}

// liveMounts compares the mount tables of the mount namespaces of a container's processes,
// and adds to a report what it finds. A namespace in a user namespace that the container
// made is not compared: see owners.
func liveMounts(pid int, id string, processes []int, r *drift.Report) error {
	bundle, err := overlay.FindBundle(pid, id)
	if err != nil {
		return err
	}
	spec, err := readSpec(bundle)
	if err != nil {
		return err
	}
	host, err := bundle.Host()
	if err != nil {
		return err
	}
	spaces, err := namespaces(pid, processes)
	if err != nil {
		return err
	}
	var own owners
	if len(spaces) > 1 {
		if own, err = ownersOf(pid, spec); err != nil {
			return err
		}
	}
	var errs []error
	for i, p := range spaces {
		isPrivate := false
		// Commands that a runtime runs in the container enter the first one.
		if i > 0 {
			isPrivate, err = own.isPrivate(p)
		}
		if isPrivate {
			r.PrivateMounts = append(r.PrivateMounts, p)
			continue
		}
		if err == nil {
			err = addMounts(p, i == 0, spec, host, r)
		}
		if _, gone := os.Stat(procFile(p, "")); err != nil && (gone == nil || i == 0) {
			errs = append(errs, err)
		}
	}
	if n := len(r.PrivateMounts) - maxPrivate; n > 0 {
		r.PrivateMounts, r.OmittedPrivateMounts = r.PrivateMounts[:maxPrivate], n
	}
	return errors.Join(errs...)
}

// maxPrivate is the number of private mount namespaces that are listed for a container.
const maxPrivate = 100

// addMounts adds the changes in the mount namespace of a process to a report.
func addMounts(pid int, isFirst bool, spec containerSpec, host []mounts.Mount, r *drift.Report) error {
	found, more, err := mountsOf(pid, spec, host)
	if err != nil {
		return err
	}
	for _, ch := range found {
		isKnown := slices.ContainsFunc(r.Changes, func(k drift.Change) bool { return k.Path == ch.Path && k.Reason == ch.Reason })
		if isKnown {
			continue
		}
		if len(r.Changes) == maxMounts {
			more++
			continue
		}
		if !isFirst {
			ch.Detail += fmt.Sprintf(", in the mount namespace of process %d", pid)
		}
		r.Changes = append(r.Changes, ch)
	}
	if more > 0 {
		if r.Omitted == nil {
			r.Omitted = map[drift.Severity]int{}
		}
		r.Omitted[drift.Critical] += more
	}
	return nil
}

func mountsOf(pid int, spec containerSpec, host []mounts.Mount) (_ []drift.Change, more int, err error) {
	root, err := rootfs.Open(procFile(pid, "root"))
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	table, err := mounts.Of(pid)
	if err != nil {
		return nil, 0, err
	}
	changes, more := compareMounts(spec, mountView{
		table: table, host: host,
		resolve: func(p string) string { return resolvePoint(root, p) },
		exists: func(p string) bool {
			_, err := root.Lstat(p)
			return err == nil
		},
	})
	return changes, more, nil
}

// resolvePoint returns the path of a mount point without symbolic links.
func resolvePoint(root *rootfs.Root, p string) string {
	resolved, _, err := root.Resolve(p)
	if err != nil {
		return p
	}
	return resolved
}

// namespaces returns one process of each mount namespace, the first one's first. Of a
// namespace it is one whose root is the namespace's own, if there is one, because a process
// sees only the mounts below its root.
func namespaces(first int, processes []int) ([]int, error) {
	own, err := os.Readlink(procFile(first, "ns/mnt"))
	if err != nil {
		return nil, err
	}
	host, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	type choice struct {
		pid    int
		isRoot bool
	}
	found := map[string]choice{}
	order := []string{own}
	for _, pid := range append([]int{first}, processes...) {
		space, err := os.Readlink(procFile(pid, "ns/mnt"))
		if err != nil || space == host {
			continue // it has ended, or the runtime is starting it
		}
		root, err := os.Readlink(procFile(pid, "root"))
		if err != nil {
			continue
		}
		old, seen := found[space]
		if !seen && space != own {
			order = append(order, space)
		}
		if !seen || !old.isRoot && root == "/" {
			found[space] = choice{pid, root == "/"}
		}
	}
	var pids []int
	for _, space := range order {
		if c, ok := found[space]; ok {
			pids = append(pids, c.pid)
		}
	}
	if len(pids) == 0 {
		return nil, unix.ESRCH
	}
	return pids, nil
}

// livePrograms reports the programs of processes that have no file: it was deleted, or it
// was only ever in memory.
func livePrograms(ctx context.Context, processes []int) []drift.Change {
	var changes []drift.Change
	seen := map[string]bool{}
	settled := time.Now().Add(startTime) // for all together: a container chooses how many there are
	for _, pid := range processes {
		exe, err := os.Readlink(procFile(pid, "exe"))
		if err != nil || seen[exe] {
			continue
		}
		name, isDeleted := strings.CutSuffix(exe, " (deleted)")
		if !isDeleted || isRuntime(pid, processes) || isStarting(ctx, pid, processes, exe, settled) {
			continue
		}
		seen[exe] = true
		what := "a deleted program"
		if strings.HasPrefix(name, "/memfd:") {
			what = "a program that is only in memory"
		}
		changes = append(changes, drift.Change{
			Path: path.Clean("/" + name), Kind: drift.Running, Class: drift.Executable, Severity: drift.High,
			Reason: "runs without a file", Detail: fmt.Sprintf("process %d runs %s", pid, what),
		})
	}
	return changes
}

// isRuntime reports whether a process is the runtime itself, which is about to run a
// program in the container: runc runs a copy of itself from memory. It is one if the
// process that started it is outside of the container and runs the same program.
func isRuntime(pid int, processes []int) bool {
	parent := parentOf(pid)
	if parent <= 1 || slices.Contains(processes, parent) {
		return false
	}
	return isSameContent(procFile(pid, "exe"), procFile(parent, "exe"))
}

// startTime is how long a process may take from the start of its container to its own
// program on a busy machine.
const startTime = time.Second

// isStarting reports whether a process ends or runs another program before a time: a container
// counts as running shortly before the runtime, from memory, executes its program. The parent of
// such a process is outside of the container, and may run another program than the runtime.
func isStarting(ctx context.Context, pid int, processes []int, exe string, before time.Time) bool {
	if slices.Contains(processes, parentOf(pid)) {
		return false
	}
	for time.Now().Before(before) {
		if now, err := os.Readlink(procFile(pid, "exe")); err != nil || now != exe {
			return true
		}
		if clock.Sleep(ctx, 10*time.Millisecond) != nil {
			break
		}
	}
	return false
}

func parentOf(pid int) int {
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0
	}
	// The name of the program, in parentheses, may have any characters.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// maxRuntime bounds the program of a runtime, in bytes.
const maxRuntime = 128 << 20

func isSameContent(a, b string) bool {
	x, errX := os.Open(a)
	if errX != nil {
		return false
	}
	defer x.Close()
	y, errY := os.Open(b)
	if errY != nil {
		return false
	}
	defer y.Close()
	i, errX := x.Stat()
	j, errY := y.Stat()
	if errX != nil || errY != nil || i.Size() != j.Size() || i.Size() > maxRuntime {
		return false
	}
	one, other := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errX := io.ReadFull(x, one)
		m, errY := io.ReadFull(y, other)
		if !bytes.Equal(one[:n], other[:m]) {
			return false
		}
		if errX != nil || errY != nil {
			return errors.Is(errX, io.EOF) || errors.Is(errX, io.ErrUnexpectedEOF)
		}
	}
}
