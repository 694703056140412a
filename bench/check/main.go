// Check measures the time and the memory of `adamant check`, compared with kube-linter,
// kube-score and gator, on the same manifests in the same run: 1,000 Deployments of two
// containers in one file and as 1,000 files, one Deployment, and a stream of 100,000.
// Each program evaluates its own rules, as its users call it; gator has one.
//
//	go run ./bench/check
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
)

// The targets.
const (
	targetTime   = 3   // minimum ratio of the fastest peer's time to Adamant's, for one file
	targetMemory = 1   // maximum ratio of Adamant's memory to the leanest peer's, for one file
	targetGrowth = 1.5 // maximum ratio of Adamant's memory for the stream to that for one file
)

func main() {
	var b bench
	flag.IntVar(&b.objects, "objects", 1000, "Deployments in one file, and as files")
	flag.IntVar(&b.streamed, "streamed", 100_000, "Deployments in the stream")
	flag.IntVar(&b.rounds, "rounds", 7, "how often to measure each; the median counts")
	flag.StringVar(&b.linter, "kube-linter", "", "this kube-linter instead of the one in PATH or of the Go proxy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

type bench struct {
	objects, streamed, rounds int
	linter                    string
	streaming                 program // reads standard input
}

func (b bench) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	peers, err := findPeers(ctx, b.linter)
	if err != nil {
		return err
	}
	adamant := filepath.Join(dir, "adamant")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", adamant, "./cmd/adamant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build adamant: %w\n%.2000s", err, out)
	}
	in, err := generate(dir, b.objects, b.streamed)
	if err != nil {
		return err
	}
	b.streaming = program{"adamant", func(string) []string { return []string{adamant, "check", "-"} }}
	programs := []program{{"adamant", func(in string) []string { return []string{adamant, "check", in} }}}
	return b.measure(ctx, in, append(programs, peers...))
}

// measure measures all programs in turn, so that other load affects all of them, and
// prints the results of each input at once.
func (b bench) measure(ctx context.Context, in inputs, programs []program) error {
	fmt.Printf("check: medians of %d rounds, as ratios to adamant: time and peak memory\n", b.rounds)
	one, err := compare(ctx, fmt.Sprintf("%d Deployments in one file", b.objects), in.file, programs, b.rounds)
	if err != nil {
		return err
	}
	judge("one file, time: the fastest peer to adamant", one.fastest()/one[0].time, one.fastest()/one[0].time >= targetTime, fmt.Sprintf("at least %d×", targetTime))
	ratio := one[0].memory / one.leanest()
	judge("one file, memory: adamant to the leanest peer", ratio, ratio < targetMemory, fmt.Sprintf("less than %d×", targetMemory))
	for _, c := range []struct{ title, path string }{
		{fmt.Sprintf("%d Deployments in %d files", b.objects, b.objects), in.folder},
		{"one Deployment", in.single},
	} {
		if _, err := compare(ctx, c.title, c.path, programs, b.rounds); err != nil {
			return err
		}
	}
	// The peers hold all documents of a stream and take minutes and gigabytes.
	stream, err := compare(ctx, fmt.Sprintf("%d Deployments streamed", b.streamed), in.stream, []program{b.streaming}, 1)
	if err != nil {
		return err
	}
	growth := stream[0].memory / one[0].memory
	judge(fmt.Sprintf("memory of adamant: %d to %d Deployments", b.streamed, b.objects), growth, growth <= targetGrowth, fmt.Sprintf("at most %.1f×", targetGrowth))
	return nil
}

func judge(what string, ratio float64, reached bool, target string) {
	verdict := "reached"
	if !reached {
		verdict = "MISSED"
	}
	fmt.Printf("  %s: %.2f×; target: %s: %s\n", what, ratio, target, verdict)
}
