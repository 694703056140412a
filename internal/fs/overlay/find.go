package overlay

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// Find returns the overlay that is the root of a process. The error wraps
// ErrNoOverlay if its root is something else.
//
// The paths of the layers are valid only in the mount namespace in which the
// overlay was mounted. This is our own, or that of an ancestor of the process, such
// as the shim of a runtime that runs in a container.
func Find(pid int) (Mount, error) {
	m, err := find(pid)
	if err != nil {
		return Mount{}, fmt.Errorf("find the overlay of process %d: %w", pid, err)
	}
	return m, nil
}

func find(pid int) (Mount, error) {
	table, err := mounts.Of(pid)
	if err != nil {
		return Mount{}, err
	}
	root, ok := rootOf(table)
	if !ok {
		return Mount{}, fmt.Errorf("its root is no mount point: %w", ErrNoOverlay)
	}
	m, err := newMount(root)
	if err != nil {
		return Mount{}, err
	}
	for _, p := range table {
		if p.Point != "/" {
			m.Points = append(m.Points, path.Clean(p.Point))
		}
	}
	slices.Sort(m.Points)
	m.Points = slices.Compact(m.Points)
	made, err := whereMade(pid, root)
	if err != nil {
		return Mount{}, err
	}
	m.Namespace = made.pid
	m.WorkDir = workDirOf(pid, made)
	return m, m.resolve(made.points)
}

func newMount(p mounts.Mount) (Mount, error) {
	if p.Type != "overlay" {
		return Mount{}, fmt.Errorf("it is %s: %w", p.Type, ErrNoOverlay)
	}
	if p.Root != "/" {
		return Mount{}, fmt.Errorf("it is only the directory %s of an overlay: %w", p.Root, ErrNoOverlay)
	}
	return parseOptions(p.SuperOptions, moduleDefaults())
}

// moduleDefaults reads the options that the kernel uses for a mount without them.
func moduleDefaults() defaults {
	is := func(name string) bool {
		value, err := os.ReadFile("/sys/module/overlay/parameters/" + name)
		return err == nil && strings.HasPrefix(string(value), "Y")
	}
	_, err := os.Stat("/sys/module/overlay/parameters/redirect_always_follow")
	return defaults{
		index:      is("index"),
		noRedirect: err == nil && !is("redirect_dir") && !is("redirect_always_follow"),
	}
}

// maker is the mount namespace in which an overlay was mounted.
type maker struct {
	pid    int      // 0 for our own
	points []string // mount points of the overlay there
}

// whereMade searches for the overlay's file system, by its device number, in our
// own mount namespace and then in those of the process's ancestors. It does not use
// the mount table of the process itself, because a container can mount overlays in
// its own namespace whose options name directories of the host.
func whereMade(pid int, root mounts.Mount) (maker, error) {
	own, err := mounts.Self()
	if err != nil {
		return maker{}, err
	}
	if points := pointsOf(own, root.Device); len(points) > 0 {
		return maker{points: points}, nil
	}
	for seen := 0; seen < 64; seen++ {
		parent, err := parentOf(pid)
		if err != nil || parent <= 1 {
			break
		}
		table, err := mounts.Of(parent)
		if err != nil {
			break
		}
		points := slices.DeleteFunc(pointsOf(table, root.Device), func(p string) bool { return p == "/" })
		if len(points) > 0 {
			return maker{pid: parent, points: points}, nil
		}
		pid = parent
	}
	return maker{}, errors.New("it was mounted in a mount namespace that cannot be found")
}

func pointsOf(table []mounts.Mount, device string) []string {
	var points []string
	for _, p := range table {
		if p.Device == device && p.Type == "overlay" && p.Root == "/" {
			points = append(points, p.Point)
		}
	}
	return points
}

// parentOf returns the parent of a process: the second field of /proc/PID/stat
// after the name, see proc_pid_stat(5). The name may contain any characters.
func parentOf(pid int) (int, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	return parseParent(string(stat))
}

func parseParent(stat string) (int, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, fmt.Errorf("%q: not a process's stat", stat)
	}
	return strconv.Atoi(fields[1])
}

// resolve makes relative directories absolute. Runtimes use relative paths if the
// mount options would be longer than a page. They are relative to a directory above
// the upper directory (containerd) or above the mount point (Docker, podman), which
// is the nearest one in which all of the paths exist.
func (m *Mount) resolve(points []string) error {
	dirs := m.dirs()
	if !slices.ContainsFunc(dirs, func(d *string) bool { return !path.IsAbs(*d) }) {
		return nil
	}
	space, err := openNamespace(m.Namespace)
	if err != nil {
		return err
	}
	defer space.Close()
	for _, start := range append([]string{m.Upper}, points...) {
		if !path.IsAbs(start) {
			continue
		}
		for base := path.Dir(path.Clean(start)); ; base = path.Dir(base) {
			if space.holds(base, dirs) {
				for _, d := range dirs {
					*d = under(base, *d)
				}
				return nil
			}
			if base == "/" {
				break
			}
		}
	}
	return fmt.Errorf("its layers have relative paths, such as %s, and cannot be found", m.Lower[0])
}

// dirs returns all paths of the mount that are set.
func (m *Mount) dirs() []*string {
	var dirs []*string
	for i := range m.Lower {
		dirs = append(dirs, &m.Lower[i])
	}
	for i := range m.Data {
		dirs = append(dirs, &m.Data[i])
	}
	if m.Upper != "" {
		dirs = append(dirs, &m.Upper)
	}
	if m.Work != "" {
		dirs = append(dirs, &m.Work)
	}
	return dirs
}

// under joins two paths without cleaning the result, because the kernel resolves
// ".." after symbolic links.
func under(base, dir string) string {
	if path.IsAbs(dir) {
		return dir
	}
	return strings.TrimSuffix(base, "/") + "/" + dir
}
