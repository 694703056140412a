// Learn measures the cost of tracing: nginx answering GET, and a loop that
// creates and unlinks files, each without tracing, traced by Adamant and traced
// by strace. It needs root, and strace and nginx in PATH. If nginx is not
// installed, it uses the one in Debian's package without installing it.
//
//	go run ./bench/learn
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/adamant-sh/adamant/internal/learn/observe"
)

// getTarget is the maximum ratio of the time for a GET of a traced nginx to
// that of an untraced one.
const getTarget = 1.5

func main() {
	if filepath.Base(os.Args[0]) == observe.RuntimeName {
		os.Exit(observe.RuntimeMain(os.Args))
	}
	rounds := flag.Int("rounds", 5, "how often to measure each; the median counts")
	files := flag.Int("files", 20_000, "files to create and unlink")
	requests := flag.Int("requests", 20_000, "requests to nginx")
	strace := flag.Bool("strace", true, "also measure strace, which is slow")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "trace":
		var status int
		if status, err = trace(ctx, flag.Args()[1:]); err == nil {
			os.Exit(status)
		}
	case "loop":
		err = loop(flag.Arg(1), *files)
	default:
		err = measure(ctx, *strace, *rounds, *files, *requests)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "learn:", err)
		os.Exit(1)
	}
}

// trace runs a program traced by Adamant.
func trace(ctx context.Context, args []string) (int, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	t, status, err := observe.Run(ctx, observe.Command{Path: path, Args: args, Stdout: os.Stdout, Stderr: os.Stderr})
	fmt.Fprintf(os.Stderr, "%d accesses, weak: %q\n", len(t.Accesses), t.Weak)
	return status, err
}

// loop creates and unlinks files in dir, each with its own name.
func loop(dir string, n int) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	for i := range n {
		name := "file-" + strconv.Itoa(i)
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		f.Close()
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// A tracing is a way to run a program.
type tracing struct {
	name   string
	prefix []string
}

func tracings(self string) []tracing {
	return []tracing{
		{"plain", nil},
		{"adamant", []string{self, "trace"}},
		{"strace", []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=file,desc"}},
		{"strace --seccomp-bpf", []string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=file,desc"}},
	}
}

func measure(ctx context.Context, strace bool, rounds, files, requests int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ways := tracings(self)
	if !strace {
		ways = ways[:2]
	} else if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("%w; apt-get install strace", err)
	}
	dir, err := os.MkdirTemp("", "adamant-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	create := func(ctx context.Context, w tracing) (time.Duration, error) {
		return timeLoop(ctx, w, self, dir, files)
	}
	if err := compare(ctx, fmt.Sprintf("create and unlink, %d files", files), ways, rounds, 0, create); err != nil {
		return err
	}
	server, err := newServer(ctx, dir)
	if err != nil {
		return err
	}
	get := func(ctx context.Context, w tracing) (time.Duration, error) { return server.time(ctx, w, requests) }
	return compare(ctx, fmt.Sprintf("nginx GET, %d requests", requests), ways, rounds, getTarget, get)
}

// compare measures all ways in turn, so that other load on the machine affects
// all of them. It prints the ratios of the medians to the first, and whether
// Adamant's is within the target, if there is one.
func compare(ctx context.Context, title string, ways []tracing, rounds int, target float64,
	run func(context.Context, tracing) (time.Duration, error)) error {
	times := make([][]time.Duration, len(ways))
	defer func() { // also after an interrupt, because the completed rounds count
		if done := len(times[len(ways)-1]); done > 0 {
			report(title, ways, times, done, target)
		}
	}()
	for range rounds {
		for i, w := range ways {
			d, err := run(ctx, w)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", title, w.name, err)
			}
			times[i] = append(times[i], d)
		}
	}
	return nil
}

func report(title string, ways []tracing, times [][]time.Duration, rounds int, target float64) {
	fmt.Printf("learn: %s (medians of %d)\n", title, rounds)
	verdict := "reached"
	var plain float64
	for i, w := range ways {
		done := times[i][:rounds] // the last round may be incomplete
		slices.Sort(done)
		median := float64(done[rounds/2])
		if i == 0 {
			plain = median
		}
		fmt.Printf("  %-46s %9.2f×\n", w.name, median/plain)
		if w.name == "adamant" && median/plain > target {
			verdict = "MISSED"
		}
	}
	if target > 0 {
		fmt.Printf("  target for adamant: at most %.1f×: %s\n", target, verdict)
	}
}

func timeLoop(ctx context.Context, w tracing, self, dir string, files int) (time.Duration, error) {
	args := append(slices.Clone(w.prefix), self, "-files", strconv.Itoa(files), "loop", dir)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	return time.Since(began), nil
}
