// Scan measures how long it takes to read all files of a server, and to see that
// nothing changed, against programs that do the like: openssl on all processors,
// `git status`, `aide --check` and debsums. All look at the same copy of a part of
// this machine's files, each in a process of its own. It needs root, openssl, git,
// aide and debsums.
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

// targets are how much longer a rival must take, at least.
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

// scan is the process that is measured.
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

// A way is one of the programs that are compared.
type way struct {
	name  string
	cmd   func() *exec.Cmd
	exits []int // statuses that are no failure beside 0
	slow  bool  // is measured three times only, and not warmed up
	times []time.Duration
}

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
	ways := l.ways(ctx)
	for round := range rounds + 1 {
		for _, w := range ways { // in turn, so that what else runs here hits all alike
			if w.slow && (round == 0 || round > 3) {
				continue
			}
			took, err := w.run()
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round > 0 { // the first warms up
				w.times = append(w.times, took)
			}
		}
	}
	report(ways, rounds)
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

// report prints how much longer each takes than the next scan.
func report(ways []*way, rounds int) {
	first, again := ways[0].median(), ways[1].median()
	fmt.Printf("  medians of %d rounds, of slow ones of 3, as ratios to adamant's next scan\n", rounds)
	for _, w := range ways {
		fmt.Printf("  %-58s %7.2f×\n", w.name, w.median()/again)
	}
	for _, t := range []struct {
		what   string
		ratio  float64
		target float64
	}{
		{"openssl on all processors to the first scan", ways[2].median() / first, targetFirst},
		{"git status to the next scan", ways[3].median() / again, targetGit},
		{"aide --check to the next scan", ways[5].median() / again, targetAide},
	} {
		verdict := "reached"
		if t.ratio < t.target {
			verdict = "MISSED"
		}
		fmt.Printf("  %s: %.2f×; target: at least %.0f×: %s\n", t.what, t.ratio, t.target, verdict)
	}
}
