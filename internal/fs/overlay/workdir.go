package overlay

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A WorkDir is the directory in which the first process of a container starts. The
// runtime creates it before that, with the directories above it, if the image does not
// have it.
type WorkDir struct {
	Path     string // empty if unknown
	UID, GID uint32 // of the process, to which podman gives the directory
}

// isWorkDir reports whether a runtime created an entry as the working directory: a
// directory at or above its path, as runc, crun, Docker and podman create it. The first
// process could not have started without it, so no process created it.
func (w *walk) isWorkDir(e tree.Entry) bool {
	dir := w.opts.WorkDir
	if e.Kind != tree.Directory || dir.Path != e.Path && !strings.HasPrefix(dir.Path, e.Path+"/") {
		return false
	}
	isOfUser := dir.Path == e.Path && e.UID == dir.UID && e.GID == dir.GID
	return (w.isOfRuntime(e) || isOfUser) && (e.Mode == 0o755 || e.Mode == 0o700) && len(e.Xattrs) == 0
}

const maxBundle = 16 << 20 // bytes of a bundle's configuration

// workDirOf reads the working directory of a container from its runtime bundle. It
// returns the zero value if no bundle is found: a directory that was created is then
// listed as a change.
func workDirOf(pid int, made maker) WorkDir {
	var bundles []string
	prefix := ""
	if made.pid != 0 {
		prefix = "/proc/" + strconv.Itoa(made.pid) + "/root"
	}
	for _, point := range made.points {
		if path.Base(point) == "rootfs" {
			bundles = append(bundles, prefix+path.Dir(point))
		}
	}
	if parent, err := parentOf(pid); err == nil && parent > 1 {
		proc := "/proc/" + strconv.Itoa(parent)
		bundles = append(bundles, proc+"/cwd") // of a shim of containerd
		if line, err := os.ReadFile(proc + "/cmdline"); err == nil {
			args := strings.Split(string(line), "\x00")
			for i, arg := range args[:len(args)-1] { // of conmon
				if (arg == "-b" || arg == "--bundle") && path.IsAbs(args[i+1]) {
					bundles = append(bundles, proc+"/root"+args[i+1])
				}
			}
		}
	}
	for _, bundle := range bundles {
		if dir, err := readWorkDir(bundle, made.points); err == nil {
			return dir
		}
	}
	return WorkDir{}
}

// readWorkDir reads the configuration of a bundle (OCI runtime specification,
// config.md). It must be that of the root at one of the mount points.
func readWorkDir(bundle string, points []string) (WorkDir, error) {
	// Without O_NONBLOCK, opening a FIFO would block.
	f, err := os.OpenFile(bundle+"/config.json", os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return WorkDir{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return WorkDir{}, fmt.Errorf("%s is no regular file", f.Name())
	}
	var spec struct {
		Root    struct{ Path string }
		Process struct {
			Cwd  string
			User struct{ UID, GID uint32 }
		}
	}
	if err := json.NewDecoder(io.LimitReader(f, maxBundle)).Decode(&spec); err != nil {
		return WorkDir{}, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	isHere := func(point string) bool {
		return spec.Root.Path == point || !path.IsAbs(spec.Root.Path) && path.Base(point) == path.Clean(spec.Root.Path)
	}
	if !slices.ContainsFunc(points, isHere) {
		return WorkDir{}, fmt.Errorf("%s is that of another container", f.Name())
	}
	return WorkDir{path.Clean("/" + spec.Process.Cwd), spec.Process.User.UID, spec.Process.User.GID}, nil
}
