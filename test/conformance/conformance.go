// Package conformance is the conformance suite for drivers of rollouts, on this
// machine or in a cluster. It does not depend on a driver. The test of a driver
// implements World and calls Run.
package conformance

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A Nature is the behavior of a version's instances.
type Nature string

// The natures.
const (
	Good       Nature = "good"        // is ready soon and stays so
	Crashes    Nature = "crashes"     // exits with an error, each time it is started
	NeverReady Nature = "never ready" // runs, and its readiness probe fails

	// These versions are good and have gates.
	Passes         Nature = "passes"          // its command and its page pass
	CommandRefuses Nature = "command refuses" // its command prints "refused" and exits with 3
	PageRefuses    Nature = "page refuses"    // its page answers with a status of 500 or more
)

// A World is one workload and its driver. Its methods are called from one
// goroutine, except Ready, which is called concurrently.
type World interface {
	// Apply applies a version and returns without waiting for it. The same
	// version may be applied again.
	Apply(ctx context.Context, version string, n Nature) error
	// Wait waits until no rollout is under way and returns the state of the
	// last one.
	Wait(ctx context.Context) (rollout.State, error)
	// Instances returns the number of instances that are not ending, by
	// version.
	Instances(ctx context.Context) (map[string]int, error)
	// Ready returns the number of ready instances of all versions that are not
	// ending.
	Ready(ctx context.Context) (int, error)
	// Kill ends the driver as a crash would: at once and without cleaning up.
	// The instances keep running.
	Kill()
	// Resume starts the driver again from the stored state, after Kill.
	Resume(ctx context.Context) error
}

// Spec returns how the workload of a World is maintained and replaced.
func Spec() rollout.Spec {
	return rollout.Spec{
		Replicas: 3, Kind: rollout.RollingUpdate,
		MaxSurge: intstr.FromInt32(1), MaxUnavailable: intstr.FromInt32(0),
		MinReady: 2 * time.Second, Deadline: 10 * time.Second,
		OnDrift: rollout.Report,
	}
}
