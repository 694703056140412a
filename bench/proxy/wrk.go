package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const connections = 32

// A sample is the result of one run of wrk.
type sample struct {
	rate float64 // requests/s
	p99  float64 // in seconds
}

var (
	rateLine  = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	p99Line   = regexp.MustCompile(`99%\s+([\d.]+)(us|ms|s)`)
	errorLine = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx).*$`)
)

// load runs wrk with GETs for d. A failed response fails the measurement.
func load(ctx context.Context, address string, d time.Duration) (sample, error) {
	out, err := exec.CommandContext(ctx, "wrk", "--threads", "1", "--connections", strconv.Itoa(connections),
		"--duration", fmt.Sprintf("%.0fs", max(d.Seconds(), 1)), "--latency", "http://"+address+"/").CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if failed := errorLine.Find(out); failed != nil {
		return sample{}, fmt.Errorf("wrk: %s", strings.TrimSpace(string(failed)))
	}
	rate, p99 := rateLine.FindSubmatch(out), p99Line.FindSubmatch(out)
	if rate == nil || p99 == nil {
		return sample{}, fmt.Errorf("wrk printed %s", out)
	}
	var s sample
	if s.rate, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return sample{}, err
	}
	tail, err := time.ParseDuration(string(p99[1]) + string(p99[2]))
	s.p99 = tail.Seconds()
	return s, err
}
