package learn

import (
	"context"

	"github.com/adamant-sh/adamant/internal/learn/copyup"
	"github.com/adamant-sh/adamant/internal/learn/observe"
	"github.com/adamant-sh/adamant/internal/report"
)

// RuntimeName is the name under which this program is the OCI runtime that
// traces containers.
const RuntimeName = observe.RuntimeName

// RuntimeMain is the main function of the OCI runtime. It returns the exit code.
func RuntimeMain(args []string) int { return observe.RuntimeMain(args) }

// KernelFeatures tries the features of the kernel that tracing needs.
func KernelFeatures(ctx context.Context) []report.Feature {
	var features []report.Feature
	for _, f := range observe.Probe(ctx) {
		features = append(features, report.Feature{Name: f.Name, OK: f.OK, Detail: f.Detail, Without: f.Without})
	}
	return features
}

// CopyUpOptions configures CopyUp.
type CopyUpOptions = copyup.Options

// CopyUp copies the content of an image into volumes. Sealed manifests run it
// in an init container.
func CopyUp(ctx context.Context, o CopyUpOptions) error { return copyup.Run(ctx, o) }

// CopyUpTarget is a path that CopyUp copies.
type CopyUpTarget = copyup.Target

// ParseCopyUpTarget parses a path with its options, as in "/run:mode=0755".
func ParseCopyUpTarget(arg string) (CopyUpTarget, error) { return copyup.ParseTarget(arg) }

// InstallCopyUp copies this program to a file in a volume, from which a
// container of another image runs it.
func InstallCopyUp(ctx context.Context, file string) error { return copyup.Install(ctx, file) }
