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
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// A Bundle is the directory with the specification (config.json) that a runtime started a
// container from, see the OCI runtime specification.
type Bundle struct {
	Dir       string
	Namespace int // the process in whose mount namespace Dir is; 0 for our own
}

// ErrNoBundle is returned for a container whose bundle cannot be found.
var ErrNoBundle = errors.New("the specification that its runtime started it from cannot be found")

// FindBundle finds the bundle of a container, by its first process and, if that is known,
// its ID. It does not trust the container: only its ancestors and the mount tables of those
// tell where the bundle is.
func FindBundle(pid int, id string) (Bundle, error) {
	b, err := findBundle(pid, id)
	if err != nil {
		return Bundle{}, fmt.Errorf("find the bundle of process %d: %w", pid, err)
	}
	return b, nil
}

func findBundle(pid int, id string) (Bundle, error) {
	table, err := mounts.Of(pid)
	if err != nil {
		return Bundle{}, err
	}
	var candidates []Bundle
	for _, p := range table {
		if p.Point != "/" {
			continue
		}
		if made, err := whereMade(pid, p); err == nil {
			for _, point := range made.points {
				if dir, ok := strings.CutSuffix(point, "/rootfs"); ok {
					candidates = append(candidates, Bundle{dir, made.pid})
				}
			}
		}
		break // the first one is the container's own
	}
	if monitor, err := parentOf(pid); err == nil && monitor > 1 {
		candidates = append(candidates, bundlesOfMonitor(monitor, id)...)
	}
	for _, b := range candidates {
		if id != "" && path.Base(b.Dir) != id && path.Base(path.Dir(b.Dir)) != id {
			continue
		}
		if f, err := b.Open("config.json"); err == nil {
			f.Close()
			return b, nil
		}
	}
	return Bundle{}, ErrNoBundle
}

// bundlesOfMonitor returns where the bundle may be by the process that started the
// container: conmon has it as an option, and a shim of containerd has the bundle of the
// first container of its pod as its working directory, beside those of the others.
func bundlesOfMonitor(pid int, id string) []Bundle {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return nil
	}
	namespace := 0
	if own, err := os.Readlink("/proc/self/ns/mnt"); err == nil {
		if its, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/mnt"); err != nil || its != own {
			namespace = pid
		}
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if path.Base(args[0]) == "conmon" {
		if i := slices.IndexFunc(args, func(a string) bool { return a == "-b" || a == "--bundle" }); i >= 0 && i+1 < len(args) {
			return []Bundle{{args[i+1], namespace}}
		}
		return nil
	}
	dir, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil || id == "" {
		return nil
	}
	return []Bundle{{dir, namespace}, {path.Join(path.Dir(dir), id), namespace}}
}

// Open opens a file in the bundle.
func (b Bundle) Open(name string) (*os.File, error) {
	root := "/"
	if b.Namespace != 0 {
		root = "/proc/" + strconv.Itoa(b.Namespace) + "/root"
	}
	r, err := rootfs.Open(root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Open(path.Join(b.Dir, name))
}

// Host returns the mount table of the namespace in which the bundle is.
func (b Bundle) Host() ([]mounts.Mount, error) {
	if b.Namespace == 0 {
		return mounts.Self()
	}
	return mounts.Of(b.Namespace)
}
