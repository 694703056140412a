package pod

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// The default directories of Options.
const (
	DefaultRoot  = containerd.DefaultRoot
	DefaultState = containerd.DefaultState
)

// Programs are the programs that the private containerd needs.
type Programs = containerd.Binaries

// A MissingProgramsError lists every program that FindPrograms did not find,
// and how to install it.
type MissingProgramsError = containerd.MissingError

// FindPrograms finds the programs on this machine. The error is a
// *MissingProgramsError if programs are missing.
func FindPrograms(ctx context.Context) (Programs, error) { return containerd.Find(ctx) }

// A Tool is a program on this machine with its version.
type Tool = containerd.Tool

// FindTools finds containerd and runc, of which none need exist.
func FindTools(ctx context.Context) (daemon, runc Tool) { return containerd.FindTools(ctx) }

// KernelRelease returns the release of the running kernel, "6.18.5".
func KernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "" // it fails only for an invalid address
	}
	return unix.ByteSliceToString(name.Release[:])
}

// IsUnavailable reports whether err means that the runtime does not answer,
// because it ended or is still starting. See Engine.Ensure.
func IsUnavailable(err error) bool { return cri.IsUnavailable(err) }

// CanTrace reports whether the runtime has the handler "learn": only the private
// containerd does.
func (e *Engine) CanTrace() bool { return e.daemon.Private() }

// DiskUsage returns the disk space of the files below dir, in bytes. It does not
// leave the file system of dir and follows no links, so that dir may belong to a
// running container.
func DiskUsage(dir string) (int64, error) { return volume.Usage(dir) }
