package overlay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// A Container is a running container on this machine, of any runtime. All fields
// come from the process table, the mount tables and the files of runtimes, none from a
// runtime itself.
type Container struct {
	ID        string // that its runtime gave it; empty if unknown
	Name      string // from the command line of its monitor, or from Docker's files; may be empty
	Runtime   string // "docker", "containerd", "podman", "cri-o", or empty
	Namespace string // containerd's, if known
	PID       int    // of its first process, seen from here
	Mount     Mount  // its root file system
	Err       error  // why Mount is not known
}

// String names a container for messages.
func (c Container) String() string {
	s := "process " + strconv.Itoa(c.PID)
	for _, part := range []string{c.Runtime, c.ID, c.Name} {
		if part != "" {
			s = part + " " + s
		}
	}
	return s
}

// ErrNoContainer is returned if a reference matches no container.
var ErrNoContainer = errors.New("no such container")

// ErrAmbiguous is returned if a reference matches more than one container.
var ErrAmbiguous = errors.New("more than one container")

// Containers finds the containers that run on this machine: the processes
// with a mount namespace of their own and an overlay for a root. A container
// with another root is listed, with Err, if its cgroup or its runtime's monitor
// shows that it is one. They are sorted by process id.
func Containers(ctx context.Context) ([]Container, error) {
	firsts, err := firstProcesses(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for containers: %w", err)
	}
	host, err := mounts.Self()
	if err != nil {
		return nil, fmt.Errorf("look for containers: %w", err)
	}
	var list []Container
	for _, pid := range firsts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if c, ok := containerOf(pid, host); ok {
			list = append(list, c)
		}
	}
	return list, nil
}

// containerOf describes the container whose first process is pid.
func containerOf(pid int, host []mounts.Mount) (Container, bool) {
	table, err := mounts.Of(pid)
	if err != nil {
		return Container{}, false // it has ended
	}
	root, ok := rootOf(table)
	if own, hasOwn := rootOf(host); !ok || hasOwn && root.Device == own.Device {
		return Container{}, false // a service with its own mount namespace
	}
	c := Container{PID: pid}
	c.identify(host, root)
	c.Mount, c.Err = Find(pid)
	if errors.Is(c.Err, os.ErrNotExist) && !exists(pid) {
		return Container{}, false
	}
	if root.Type != "overlay" && c.ID == "" {
		return Container{}, false
	}
	if c.Runtime == "" {
		c.Runtime = runtimeOfPath(c.Mount.Upper)
	}
	if c.Runtime == "docker" && c.Name == "" && c.ID != "" {
		if b, err := FindBundle(pid, c.ID); err == nil {
			c.Name = dockerName(b, c.ID)
		}
	}
	return c, true
}

// rootOf returns the mount at the root; of several the last one is on top.
func rootOf(table []mounts.Mount) (mounts.Mount, bool) {
	for _, p := range slices.Backward(table) {
		if p.Point == "/" {
			return p, true
		}
	}
	return mounts.Mount{}, false
}

func exists(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}

// firstProcesses returns, for each mount namespace but our own, the process it
// was made for: the init of a pid namespace, or else the lowest pid.
func firstProcesses(ctx context.Context) ([]int, error) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	type process struct{ pid, inside int }
	firsts := map[string]process{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		space, err := os.Readlink("/proc/" + name + "/ns/mnt")
		if err != nil || space == own {
			continue // it has ended, or is none
		}
		p := process{pid, pidInside(pid)}
		if first, ok := firsts[space]; !ok || cmp.Or(cmp.Compare(p.inside, first.inside), cmp.Compare(p.pid, first.pid)) < 0 {
			firsts[space] = p
		}
	}
	var pids []int
	for _, p := range firsts {
		pids = append(pids, p.pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// pidInside returns a process's pid in its own pid namespace: the last of the
// line NSpid. A process that has ended sorts last.
func pidInside(pid int) int {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 1 << 30
	}
	for line := range strings.Lines(string(status)) {
		if list, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(list)
			if len(fields) > 0 {
				if inside, err := strconv.Atoi(fields[len(fields)-1]); err == nil {
					return inside
				}
			}
		}
	}
	return 1 << 30
}

// Lookup finds a running container by its ID, the beginning of it, its name, or
// the pid of any of its processes. The error wraps ErrNoContainer or
// ErrAmbiguous.
func Lookup(ctx context.Context, ref string) (Container, error) {
	list, err := Containers(ctx)
	if err != nil {
		return Container{}, err
	}
	c, err := Match(list, ref)
	pid, isNumber := strconv.Atoi(ref)
	if !errors.Is(err, ErrNoContainer) || isNumber != nil || pid <= 0 {
		return c, err
	}
	m, findErr := Find(pid)
	if findErr != nil {
		return Container{}, errors.Join(err, findErr)
	}
	return Container{PID: pid, Runtime: runtimeOfPath(m.Upper), Mount: m}, nil
}

// Match finds the container that a reference means among several: one whose ID
// or name it is, or else the only one of which it is the pid or begins the ID.
func Match(list []Container, ref string) (Container, error) {
	var found []Container
	for _, c := range list {
		switch {
		case ref == "":
		case ref == c.ID || ref == c.Name:
			return c, nil
		case strings.HasPrefix(c.ID, ref) || ref == strconv.Itoa(c.PID):
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return Container{}, fmt.Errorf("%q: %w", ref, ErrNoContainer)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, c := range found {
		names = append(names, c.String())
	}
	return Container{}, fmt.Errorf("%q: %w: %s", ref, ErrAmbiguous, strings.Join(names, ", "))
}
