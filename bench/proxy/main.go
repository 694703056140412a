// Proxy measures what it costs a small GET to go through the load balancer of
// internal/workload/traffic, which runs in a process of its own, against haproxy and
// nginx as TCP proxies before the same backend, by wrk on the loopback. It needs
// haproxy, wrk and nginx with its stream module.
//
//	go run ./bench/proxy
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// target is how many times haproxy's requests a second the balancer must do.
const target = 0.8

func main() {
	rounds := flag.Int("rounds", 9, "how often to measure each; the median counts")
	length := flag.Duration("length", 2*time.Second, "how long each time")
	serve := flag.String("serve", "", "only balance, from this address")
	backend := flag.String("backend", "", "to this one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return measure(ctx, *rounds, *length) }
	if *serve != "" {
		run = func() error { return balance(ctx, *serve, *backend) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

// balance is the process that is measured.
func balance(ctx context.Context, from, to string) error {
	b, err := traffic.Listen(ctx, traffic.Options{Address: from})
	if err != nil {
		return err
	}
	b.Set(traffic.Route{Backends: []traffic.Backend{{ID: "backend", Address: to}}})
	<-ctx.Done()
	return b.Close()
}

func measure(ctx context.Context, rounds int, length time.Duration) (err error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ways, stop, err := start(ctx, dir)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	for round := range rounds + 1 {
		for _, w := range ways { // in turn, so that what else runs here hits all alike
			d := length
			if round == 0 { // which warms up
				d = time.Second
			}
			s, err := load(ctx, w.address, d)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round > 0 {
				w.rates, w.tails = append(w.rates, s.rate), append(w.tails, s.p99)
			}
		}
	}
	report(ways, rounds)
	return nil
}

// A way is one by which requests reach the backend.
type way struct {
	name, address string
	rates, tails  []float64 // requests/s, and 99th percentiles in seconds, of the rounds
}

// Their order in what start returns.
const (
	direct = iota
	adamant
	haproxy
	nginx
)

func report(ways []*way, rounds int) {
	fmt.Printf("proxy: small GETs over %d connections that are kept, times haproxy's (medians of %d)\n", connections, rounds)
	for _, w := range ways {
		fmt.Printf("  %-24s requests/s %6.2f×   p99 latency %6.2f×\n", w.name, ratioOf(w.rates, ways[haproxy].rates), ratioOf(w.tails, ways[haproxy].tails))
	}
	fmt.Printf("  adamant does %.2f× the requests/s of nginx\n", ratioOf(ways[adamant].rates, ways[nginx].rates))
	ratio := ratioOf(ways[adamant].rates, ways[haproxy].rates)
	verdict := "reached"
	if ratio < target {
		verdict = "MISSED"
	}
	fmt.Printf("  adamant does %.2f× the requests/s of haproxy; target: at least %.1f×: %s\n", ratio, target, verdict)
}

// ratioOf is the median of the rounds' ratios: what else ran in a round slowed
// both alike.
func ratioOf(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}
