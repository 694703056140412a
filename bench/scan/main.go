// Scan measures how long it takes to read all files of a server, and to check
// that nothing changed, compared with similar programs: openssl on all
// processors, `git status`, `aide --check` and debsums. All read the same copy
// of a part of this machine's files, each in its own process. It needs root,
// openssl, git, aide and debsums.
//
//	go run ./bench/scan
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// The targets are minimum ratios of a peer's time to Adamant's.
const (
	targetFirst = 1   // openssl to the first scan
	targetGit   = 1   // git status to the next
	targetAide  = 100 // aide --check to it
)

func main() {
	entries := flag.Int("entries", 110_000, "files and directories to copy from this machine")
	rounds := flag.Int("rounds", 5, "how often to measure each; the median counts")
	only := flag.String("only", "", "only scan this root")
	cache := flag.String("cache", "", "with this cache")
	full := flag.Bool("full", false, "but read everything")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return measure(ctx, *entries, *rounds) }
	if *only != "" {
		run = func() error { return scan(ctx, *only, facts.ScanOptions{Cache: *cache, Full: *full}) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scan:", err)
		os.Exit(1)
	}
}

// scan runs the measured process.
func scan(ctx context.Context, dir string, opts facts.ScanOptions) error {
	root, err := rootfs.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	s, err := facts.ScanRoot(ctx, root, opts)
	if err != nil {
		return err
	}
	summary := s.Summary()
	if len(summary.Unknowns) > 0 || summary.Note != "" {
		return fmt.Errorf("%d unknowns; %s", len(summary.Unknowns), summary.Note)
	}
	fmt.Println(summary.Entries, summary.Digest)
	return nil
}

// A way is one of the compared programs.
type way struct {
	name  string
	cmd   func() *exec.Cmd
	exits []int // exit statuses other than 0 that are not failures
	times []time.Duration

	target float64 // ratio to the next scan, 0 for none
}

// The order of the fast ways.
const (
	first = iota
	next
	openssl
	gitStatus
)

// slowRounds is the number of measurements of a slow way.
const slowRounds = 3

func measure(ctx context.Context, entries, rounds int) (err error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l := lab{dir: dir, root: dir + "/root"}
	if err := l.prepare(ctx, entries); err != nil {
		return err
	}
	fast, slow := l.ways(ctx)
	if err := measureFast(fast, rounds); err != nil {
		return err
	}
	again := fast[next].median()
	for _, w := range slow { // turns would make no difference, because they are much slower
		for range slowRounds {
			if err := w.measure(); err != nil {
				return err
			}
		}
		fmt.Printf("  %-58s %7.2f×\n", w.name, w.median()/again)
		if w.target > 0 {
			judge(w.name+" to the next scan", w.median()/again, w.target)
		}
	}
	return nil
}

// measureFast measures all ways in turn, so that other load affects all of
// them, and prints the medians of the completed rounds, also after an error.
func measureFast(ways []*way, rounds int) error {
	done := 0
	defer func() {
		if done > 0 {
			report(ways, done)
		}
	}()
	for round := range rounds + 1 {
		for _, w := range ways {
			if err := w.measure(); err != nil {
				return err
			}
			if round == 0 { // it warms up
				w.times = nil
			}
		}
		done = round
	}
	return nil
}

func (w *way) measure() error {
	took, err := w.run()
	if err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	w.times = append(w.times, took)
	return nil
}

func (w *way) run() (time.Duration, error) {
	cmd := w.cmd()
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && slices.Contains(w.exits, exit.ExitCode()) {
		err = nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w\n%.2000s", err, out)
	}
	return took, nil
}

func (w *way) median() float64 {
	slices.Sort(w.times)
	return w.times[len(w.times)/2].Seconds()
}

// report prints the ratio of each time to that of a repeated scan.
func report(ways []*way, rounds int) {
	for _, w := range ways {
		w.times = w.times[:rounds] // the last round may be incomplete
	}
	again := ways[next].median()
	fmt.Printf("  medians of %d rounds, of slow ones of %d, as ratios to adamant's next scan\n", rounds, slowRounds)
	for _, w := range ways {
		fmt.Printf("  %-58s %7.2f×\n", w.name, w.median()/again)
	}
	judge("openssl on all processors to the first scan", ways[openssl].median()/ways[first].median(), targetFirst)
	judge("git status to the next scan", ways[gitStatus].median()/again, targetGit)
}

func judge(what string, ratio, target float64) {
	verdict := "reached"
	if ratio < target {
		verdict = "MISSED"
	}
	fmt.Printf("  %s: %.2f×; target: at least %.0f×: %s\n", what, ratio, target, verdict)
}
