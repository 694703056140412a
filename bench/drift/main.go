// Drift measures how long it takes to list 10 changes in a container whose
// image has 100,000 files: with Adamant, with `docker diff` on the same
// container, and by hashing all files in the container. It also measures how much
// memory and time Adamant needs for trees that a container could make to hide
// something: one that is deep, and one of 200,000 files.
//
// It runs its own Docker daemon, and removes it afterwards. If dockerd is not
// installed, it uses the one in Debian's package docker.io without installing
// it. It needs root, containerd and runc.
//
//	go run ./bench/drift
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// target is the minimum ratio of the time of docker diff to Adamant's.
const target = 100

func main() {
	files := flag.Int("files", 100_000, "files of the image")
	rounds := flag.Int("rounds", 7, "how often to measure each; the median counts")
	large := flag.Bool("large", false, "measure only the large trees, which needs no Docker")
	dirs := flag.String("compare", "", "used by the benchmark itself: LOWER:UPPER, or a root")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *dirs != "":
		err = compareDirs(ctx, *dirs)
	case *large:
		err = measureLarge(ctx)
	default:
		err = errors.Join(run(ctx, *files, *rounds), measureLarge(ctx))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "drift:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, files, rounds int) (err error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := startLab(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	fmt.Printf("drift: %d changes in a container whose image has %d files\n", changesMade, files)
	if err := d.load(ctx, files); err != nil {
		return err
	}
	c, err := d.run(ctx)
	if err != nil {
		return err
	}
	if err := change("/proc/" + strconv.Itoa(c.pid) + "/root"); err != nil {
		return err
	}
	return measure(ctx, d, c, rounds)
}

// measure measures each way and prints its ratio to the first.
func measure(ctx context.Context, d *lab, c container, rounds int) error {
	found, err := overlay.Lookup(ctx, c.id[:12])
	if err == nil && (found.ID != c.id || found.PID != c.pid || found.Runtime != "docker") {
		err = fmt.Errorf("container %s is taken for %v", c.id, found)
	}
	if byName, nameErr := overlay.Lookup(ctx, found.Name); nameErr != nil || byName.ID != c.id {
		err = errors.Join(err, nameErr, fmt.Errorf("the name %q does not find container %s", found.Name, c.id))
	}
	if err = errors.Join(err, found.Err); err != nil {
		return err
	}
	m := found.Mount
	var r, live drift.Report
	var theirs []string
	var hashed int
	ways := []struct {
		name   string
		rounds int
		do     func() error
	}{
		{"adamant: changes, content compared, no diffs", rounds * 20, func() error { return compare(ctx, m) }},
		{"adamant: full report with text diffs", rounds * 20, func() (err error) { r, err = inspect.Overlay(ctx, m); return err }},
		{"adamant: mounts and programs of its processes", rounds * 20, func() error { live = inspect.Live(ctx, found.PID, found.ID); return nil }},
		{"docker diff (API of dockerd)", rounds, func() (err error) { theirs, err = d.changes(ctx, c.id); return err }},
		{"SHA-256 of every file, on all processors", rounds, func() (err error) { hashed, err = hash(ctx, c.pid); return err }},
	}
	times := make([]time.Duration, len(ways))
	for i, way := range ways {
		if times[i], err = median(way.rounds, way.do); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		fmt.Printf("  %-46s %9.1f×\n", way.name, float64(times[i])/float64(times[0]))
	}
	fmt.Printf("  adamant lists %d changes and %d unknowns, docker diff %d lines; %d entries are hashed\n",
		len(r.Changes), len(r.Unknowns), len(theirs), hashed)
	if !live.Clean() {
		return fmt.Errorf("mounts and programs: %+v", live)
	}
	for _, ch := range r.Changes {
		if !slices.Contains(theirs, ch.Path) {
			fmt.Printf("  docker diff misses %s, %s %v\n", ch.Path, ch.Kind, ch.Fields)
		}
	}
	ratio := float64(times[3]) / float64(times[1]+times[2])
	fmt.Printf("  docker diff takes %.0f× as long as the full report with mounts and programs; target: at least %d×: %s\n", ratio, target, verdict(ratio >= target))
	if len(r.Changes) != changesMade || len(r.Unknowns) != 0 {
		return fmt.Errorf("adamant lists %d changes and %d unknowns, but %d changes were made", len(r.Changes), len(r.Unknowns), changesMade)
	}
	return nil
}

func compare(ctx context.Context, m overlay.Mount) error {
	o, err := overlay.Open(m)
	if err != nil {
		return err
	}
	defer o.Close()
	v := visitor{drift.NewComparison(-1), ctx}
	if _, err := o.Walk(ctx, overlay.Options{Mounts: m.Points}, v); err != nil {
		return err
	}
	v.Report()
	return nil
}

// A visitor compares content and makes no diffs.
type visitor struct {
	*drift.Comparison
	ctx context.Context
}

func (v visitor) Pair(p *overlay.Pair) {
	v.Add(drift.Pair{Want: p.Want, Got: p.Got, Path: p.Path, Size: p.Size(), Equal: func() (bool, error) { return p.Equal(v.ctx) }})
}

func hash(ctx context.Context, pid int) (int, error) {
	root, err := rootfs.Open("/proc/" + strconv.Itoa(pid) + "/root")
	if err != nil {
		return 0, err
	}
	defer root.Close()
	t, _, err := root.Walk(ctx, rootfs.WalkOptions{Hash: true, OneFileSystem: true})
	return t.Len(), err
}

func median(rounds int, do func() error) (time.Duration, error) {
	times := make([]time.Duration, rounds)
	for i := range times {
		start := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
