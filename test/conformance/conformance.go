// Package conformance is what every driver of rollouts must show, wherever its
// instances run: on this machine or in a cluster. It knows no driver. A test of
// one makes a World and calls Run.
package conformance

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A Nature is what becomes of a version's instances.
type Nature string

// The natures.
const (
	Good       Nature = "good"        // is ready soon and stays so
	Crashes    Nature = "crashes"     // exits with an error, each time it is started
	NeverReady Nature = "never ready" // runs, and its readiness probe fails

	// Those that are good, but have gates.
	Passes         Nature = "passes"          // its command and its page let pass
	CommandRefuses Nature = "command refuses" // its command prints "refused" and exits with 3
	PageRefuses    Nature = "page refuses"    // its page answers with a status of 500 or more
)

// A World is one workload and whoever drives it. Its methods are called from
// one goroutine, but for Ready, which is called beside the others.
type World interface {
	// Apply asks for a version and returns without waiting for it. The same
	// version may be asked for again.
	Apply(ctx context.Context, version string, n Nature) error
	// Wait waits until no rollout is under way and returns how the last ended.
	Wait(ctx context.Context) (rollout.State, error)
	// Instances counts those that are there and not ending, by version.
	Instances(ctx context.Context) (map[string]int, error)
	// Ready counts the instances, of whatever version, that are ready and not
	// ending.
	Ready(ctx context.Context) (int, error)
	// Kill ends whoever drives as a crash would: at once, and with nothing
	// tidied. What runs goes on running.
	Kill()
	// Resume drives on from what was kept, after Kill.
	Resume(ctx context.Context) error
}

// Spec is how the workload of a World is to be kept and replaced.
func Spec() rollout.Spec {
	return rollout.Spec{
		Replicas: 3, Kind: rollout.RollingUpdate,
		MaxSurge: intstr.FromInt32(1), MaxUnavailable: intstr.FromInt32(0),
		MinReady: 2 * time.Second, Deadline: 10 * time.Second,
		OnDrift: rollout.Report,
	}
}
