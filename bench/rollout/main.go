// Rollout measures how long a Deployment of 20 small web servers takes to
// change from one version to the next: with adamant serve, in a Kubernetes
// cluster of one node, and with docker-compose, which does not check readiness.
// Then it measures the cost of adamant serve while 100 instances only run.
//
// Everything runs in separate network, mount and process namespaces. The
// cluster is left out unless ADAMANT_CLUSTER_BIN and ADAMANT_CLUSTER_CONTAINERD
// are set as in scripts/test-cluster, and docker-compose unless it is
// installed. Run it as root in the top directory:
//
//	go run ./bench/rollout
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// target is the maximum ratio of a rollout's time to the cluster's.
const target = 0.7

const isolate = "test/cluster/isolate"

func main() {
	rounds := flag.Int("rounds", 3, "how often to roll out each; the median counts; 0 leaves that out")
	idle := flag.Duration("idle", time.Minute, "how long to look at the idle daemon; 0 leaves that out")
	inside := flag.String("inside", "", "directory that was prepared; of the program itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := isolated
	if *inside != "" {
		run = func(ctx context.Context) error { return measure(ctx, *inside, *rounds, *idle) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "rollout:", err)
		os.Exit(1)
	}
}

// isolated does the work that needs the machine's network, and then becomes the
// measuring process in its own namespaces.
func isolated(ctx context.Context) (err error) {
	// The directory is on the machine's disk, because inside the namespaces
	// /var is an overlay.
	dir, err := os.MkdirTemp("/tmp", "adamant-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // only after an error, because Exec does not return
	if err := prepare(ctx, dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{isolate, self, "-inside", dir}, os.Args[1:]...)
	return fmt.Errorf("%s: %w", isolate, syscall.Exec(isolate, args, os.Environ()))
}

// A way is a way to replace instances.
type way struct {
	name string
	// roll replaces all instances by those of a version.
	roll func(ctx context.Context, version string) error
	// settle waits until the instances of the previous version are gone.
	settle func(ctx context.Context) error
	close  func() error
	times  []time.Duration
}

func measure(ctx context.Context, dir string, rounds int, idle time.Duration) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := serve(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if rounds > 0 {
		if err := race(ctx, dir, d, rounds); err != nil {
			return err
		}
		if err := d.clear(ctx); err != nil {
			return err
		}
	}
	if idle > 0 {
		return rest(ctx, d, idle)
	}
	return nil
}

// race rolls out with all ways in turn, so that other load affects all of them.
// The instances of all ways run all the time.
func race(ctx context.Context, dir string, d *daemonProcess, rounds int) (err error) {
	ways := []*way{{name: "adamant serve", roll: d.roll, settle: d.settle, close: func() error { return nil }}}
	peers, left, err := startPeers(ctx, dir)
	ways = append(ways, peers...)
	defer func() {
		for _, w := range ways {
			err = errors.Join(err, w.close())
		}
	}()
	if err != nil {
		return err
	}
	done := 0
	defer func() { // also after an interrupt, because the completed rounds count
		if done > 0 {
			report(ways, left, done)
		}
	}()
	for round := range rounds + 1 {
		version := []string{"a", "b"}[round%2]
		for _, w := range ways {
			began := time.Now()
			if err := w.roll(ctx, version); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round > 0 { // the first one replaces nothing
				w.times = append(w.times, time.Since(began))
			}
			if err := w.settle(ctx); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		done = round
	}
	return nil
}

func report(ways []*way, left []string, rounds int) {
	for _, w := range ways {
		w.times = w.times[:rounds] // the last round may be incomplete
	}
	fmt.Printf("rollout: %d instances, maxSurge and maxUnavailable 25%% (medians of %d)\n", replicas, rounds)
	for _, w := range ways {
		fmt.Printf("  %-46s %9.2f×%s\n", w.name, ratioOf(w.times, ways[0].times), seconds(w.times))
	}
	for _, why := range left {
		fmt.Printf("  left out: %s\n", why)
	}
	i := slices.IndexFunc(ways, func(w *way) bool { return w.name == clusterName })
	if i < 0 {
		return
	}
	ratio := ratioOf(ways[0].times, ways[i].times)
	verdict := "reached"
	if ratio > target {
		verdict = "MISSED"
	}
	fmt.Printf("  adamant takes %.2f× as long as the cluster; target: at most %.1f×: %s\n", ratio, target, verdict)
}

// ratioOf returns the median of the rounds' ratios, because other load in a
// round slows both alike.
func ratioOf(a, b []time.Duration) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = float64(a[i]) / float64(b[i])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func seconds(times []time.Duration) (text string) {
	for _, d := range times {
		text += fmt.Sprintf(" %5.1f s", d.Seconds())
	}
	return text
}

// until checks every 50 ms until is returns true, for at most five minutes.
func until(ctx context.Context, what string, is func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		ok, err := is(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it never came about that %s: %w", what, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// command runs a program with additional environment variables.
func command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", filepath.Base(name), args, err, out)
	}
	return nil
}
