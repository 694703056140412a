package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/clock"
)

// A shim is a running process of a layout's shims: a shim, which is the parent of
// the containers of one pod, or a short command by which the daemon starts or
// deletes one.
type shim struct {
	pid     int
	id      string // of the container that it was started for, the pod's sandbox
	command string // "start" or "delete"; "" for a shim
	ticks   uint64 // start time, in clock ticks since boot
}

// findShims returns the processes whose arguments name the socket of the layout's
// daemon.
func findShims(l layout) ([]shim, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var shims []shim
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, ok := readShim(pid, l); ok {
			shims = append(shims, s)
		}
	}
	return shims, nil
}

// readShim returns false if the process is not one of the layout's shims, or has
// ended.
func readShim(pid int, l layout) (shim, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return shim{}, false
	}
	args := strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
	value := func(flag string) string {
		if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
			return args[i+1]
		}
		return ""
	}
	if value("-address") != l.socket() {
		return shim{}, false
	}
	s := shim{pid: pid, id: value("-id")}
	if last := args[len(args)-1]; last == "start" || last == "delete" {
		s.command = last
	}
	s.ticks, err = startTicks(pid)
	return s, err == nil
}

// ticksPerSecond is the unit of times in /proc, USER_HZ, on all architectures.
const ticksPerSecond = 100

// startTicks returns the start time of a process in clock ticks since boot, see
// proc_pid_stat(5).
func startTicks(pid int) (uint64, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses, which can contain both.
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("read %s: too few fields", path)
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// kill kills the process, if it is still the one that was found.
func (s shim) kill(l layout) error {
	// The PID may have been reused. The pidfd keeps referring to one process,
	// which is checked once more.
	handle, err := unix.PidfdOpen(s.pid, 0)
	if err != nil {
		return nil // it ended
	}
	defer unix.Close(handle)
	if again, ok := readShim(s.pid, l); !ok || again != s {
		return nil
	}
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end shim %d: %w", s.pid, err)
	}
	return nil
}

// endShimCommands ends the commands of a daemon that ended, before a new one is
// started: a command that starts a shim would go on alone.
func endShimCommands(l layout) error {
	shims, err := findShims(l)
	if err != nil {
		return err
	}
	for _, s := range shims {
		if s.command == "" {
			continue
		}
		if err := s.kill(l); err != nil {
			return err
		}
	}
	return nil
}

// removeShims ends the shims that were started before this daemon, in clock ticks
// since boot, and have no container: an earlier daemon was killed before it stored
// their addresses.
func (d *Daemon) removeShims(ctx context.Context, started uint64) error {
	shims, err := findShims(d.layout)
	if err != nil {
		return err
	}
	shims = slices.DeleteFunc(shims, func(s shim) bool { return s.command != "" || s.ticks >= started })
	if len(shims) == 0 {
		return nil
	}
	known, err := d.shimIDs(ctx)
	if err != nil {
		return err
	}
	for _, s := range shims {
		if known[s.id] {
			continue
		}
		if err := s.kill(d.layout); err != nil {
			return err
		}
	}
	return nil
}

// shimIDs returns the IDs of the shims that have containers: a shim has the ID of
// its first container, which is the sandbox of the pod.
func (d *Daemon) shimIDs(ctx context.Context) (map[string]bool, error) {
	tasks, err := d.client.TaskService().List(ctx, &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	ids := make(map[string]bool)
	for _, t := range tasks.Tasks {
		ids[t.ID] = true
	}
	containers, err := d.cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Containers {
		if ids[c.Id] { // its sandbox may have ended
			ids[c.PodSandboxId] = true
		}
	}
	return ids, nil
}

// RemoveLostShims ends the shims of containers and sandboxes that containerd does not
// know. It may leave one if its caller is killed while it creates a sandbox. A shim that
// is about to end is given some time.
func (d *Daemon) RemoveLostShims(ctx context.Context) error {
	if !d.private {
		return nil
	}
	for end := time.Now().Add(shimEnds); ; {
		lost, err := d.lostShims(ctx)
		if err != nil {
			return fmt.Errorf("find lost shims: %w", err)
		}
		if len(lost) == 0 {
			return nil
		}
		if !time.Now().Before(end) {
			var errs []error
			for _, s := range lost {
				errs = append(errs, s.kill(d.layout))
			}
			return errors.Join(errs...)
		}
		if err := clock.Sleep(ctx, pollShims); err != nil {
			return err
		}
	}
}

const (
	shimEnds  = time.Second // what a shim may take to end after its container was deleted
	pollShims = 50 * time.Millisecond
)

// lostShims returns the shims of which containerd has stored nothing. It stores a
// container or sandbox before it starts the shim, so the shims are listed first.
func (d *Daemon) lostShims(ctx context.Context) ([]shim, error) {
	shims, err := findShims(d.layout)
	shims = slices.DeleteFunc(shims, func(s shim) bool { return s.command != "" })
	if err != nil || len(shims) == 0 {
		return nil, err
	}
	known := make(map[string]bool)
	containers, err := d.client.ContainerService().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		known[c.ID], known[c.SandboxID] = true, true
	}
	sandboxes, err := d.client.SandboxStore().List(ctx)
	if err != nil && !errdefs.IsNotImplemented(err) { // as in containerd before 1.7
		return nil, err
	}
	for _, s := range sandboxes {
		known[s.ID] = true
	}
	// Also what CRI and the tasks know, to be safe.
	stored, err := d.shimIDs(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(shims, func(s shim) bool { return known[s.id] || stored[s.id] }), nil
}
