package pod

import (
	"context"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// The directories of Options that are used if none are given.
const (
	DefaultRoot  = containerd.DefaultRoot
	DefaultState = containerd.DefaultState
)

// Programs are the programs of other packages that the private containerd
// consists of.
type Programs = containerd.Binaries

// A MissingProgramsError lists every program that FindPrograms did not find,
// and how to install it.
type MissingProgramsError = containerd.MissingError

// FindPrograms looks for the programs on this machine. If some are missing the
// error is a *MissingProgramsError.
func FindPrograms(ctx context.Context) (Programs, error) { return containerd.Find(ctx) }

// IsUnavailable reports whether err means that the runtime does not answer,
// because it ended or is still starting. See Engine.Ensure.
func IsUnavailable(err error) bool { return cri.IsUnavailable(err) }

// CanTrace reports whether the runtime has the handler "learn": only the private
// containerd does.
func (e *Engine) CanTrace() bool { return e.daemon.Private() }

// DiskUsage returns how many bytes the files below dir take on disk. It does not
// leave the file system of dir and follows no link out of it, so a running
// container may own the files.
func DiskUsage(dir string) (int64, error) { return volume.Usage(dir) }
