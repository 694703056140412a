package containerd

import (
	"context"
	"strings"
)

// A Tool is a program on this machine with its version.
type Tool struct {
	Path    string // empty if it was not found
	Version string // empty if it did not print one
}

// FindTools finds containerd and runc. Unlike Find it needs neither of them, nor the
// programs beside them.
func FindTools(ctx context.Context) (daemon, runc Tool) {
	daemon, runc = Tool{Path: lookPath("containerd")}, Tool{Path: lookPath("runc")}
	if daemon.Path != "" {
		if out, err := output(ctx, daemon.Path, "--version"); err == nil {
			daemon.Version = versionPattern.FindString(out)
		}
	}
	if runc.Path != "" {
		if out, err := output(ctx, runc.Path, "--version"); err == nil {
			first, _, _ := strings.Cut(out, "\n")
			runc.Version = strings.TrimPrefix(first, "runc version ")
		}
	}
	return daemon, runc
}
