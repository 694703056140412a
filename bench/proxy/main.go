// Proxy measures the cost for a small GET of passing through the load balancer
// of internal/workload/traffic, which runs in its own process, with wrk on the
// loopback. The peers use the same backend: haproxy in HTTP mode and
// httputil.ReverseProxy, which balance requests as Adamant does, and haproxy
// and nginx as TCP proxies, which balance connections and do not parse HTTP. It
// needs haproxy, wrk and nginx with its stream module.
//
//	go run ./bench/proxy
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// target is the minimum ratio of the balancer's requests per second to those of
// haproxy.
const target = 0.8

func main() {
	rounds := flag.Int("rounds", 9, "how often to measure each; the median counts")
	length := flag.Duration("length", 2*time.Second, "how long each time")
	serve := flag.String("serve", "", "only balance, from this address")
	backend := flag.String("backend", "", "to this one")
	reverse := flag.Bool("reverse", false, "with httputil.ReverseProxy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return measure(ctx, *rounds, *length) }
	if *serve != "" && *reverse {
		run = func() error { return reverseProxy(ctx, *serve, *backend) }
	} else if *serve != "" {
		run = func() error { return balance(ctx, *serve, *backend) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

// balance runs the measured process.
func balance(ctx context.Context, from, to string) error {
	b, err := traffic.Listen(ctx, traffic.Options{Address: from})
	if err != nil {
		return err
	}
	b.Set(traffic.Route{Backends: []traffic.Backend{{ID: "backend", Address: to}}})
	<-ctx.Done()
	return b.Close()
}

// reverseProxy runs the standard library's proxy, with as many idle connections
// as there are clients.
func reverseProxy(ctx context.Context, from, to string) error {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: connections}
	server := &http.Server{Addr: from, Handler: proxy}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
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
	done := 0
	defer func() { // also after an interrupt, because the completed rounds count
		if done > 0 {
			report(ways, done)
		}
	}()
	for round := range rounds + 1 {
		for _, w := range ways { // in turn, so that other load affects all of them
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
		done = round
	}
	return nil
}

// A way is a path of requests to the backend.
type way struct {
	name, address string
	rates, tails  []float64 // requests/s, and 99th percentiles in seconds, of the rounds
}

// The order of ways in the result of start.
const (
	direct = iota
	adamant
	haproxyHTTP
	reverse
	haproxyTCP
	nginx
)

func report(ways []*way, rounds int) {
	fmt.Printf("proxy: small GETs over %d connections that are kept, as ratios to haproxy in HTTP mode (medians of %d)\n", connections, rounds)
	for _, w := range ways {
		w.rates, w.tails = w.rates[:rounds], w.tails[:rounds] // the last round may be incomplete
	}
	peer := ways[haproxyHTTP]
	for _, w := range ways {
		fmt.Printf("  %-24s requests/s %6.2f×   p99 latency %6.2f×\n", w.name, ratioOf(w.rates, peer.rates), ratioOf(w.tails, peer.tails))
	}
	for _, w := range []*way{ways[reverse], ways[nginx]} {
		fmt.Printf("  adamant to %s: %.2f×\n", w.name, ratioOf(ways[adamant].rates, w.rates))
	}
	for _, w := range []*way{ways[haproxyHTTP], ways[haproxyTCP]} {
		ratio, verdict := ratioOf(ways[adamant].rates, w.rates), "reached"
		if ratio < target {
			verdict = "MISSED"
		}
		fmt.Printf("  adamant to %s: %.2f×; target: at least %.1f×: %s\n", w.name, ratio, target, verdict)
	}
}

// ratioOf returns the median of the rounds' ratios, because other load in a
// round slows both alike.
func ratioOf(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}
