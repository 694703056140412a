package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// A program is one of the compared programs.
type program struct {
	name string
	args func(path string) []string // to check a file or folder
}

// A result is the medians of a program.
type result struct {
	name   string
	time   float64 // seconds
	memory float64 // MiB, the largest resident set
}

type results []result // Adamant's is the first

func (r results) fastest() float64 {
	return slices.MinFunc(r[1:], func(a, b result) int { return less(a.time, b.time) }).time
}

func (r results) leanest() float64 {
	return slices.MinFunc(r[1:], func(a, b result) int { return less(a.memory, b.memory) }).memory
}

func less(a, b float64) int {
	if a < b {
		return -1
	}
	return 1
}

// compare measures programs on one input and prints their ratios to the first one.
func compare(ctx context.Context, title, path string, programs []program, rounds int) (results, error) {
	times, sizes := make([][]float64, len(programs)), make([][]float64, len(programs))
	for round := range rounds + 1 {
		for i, p := range programs {
			took, size, err := p.run(ctx, path)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", title, p.name, err)
			}
			if round == 0 && rounds > 1 { // it warms up
				continue
			}
			times[i], sizes[i] = append(times[i], took), append(sizes[i], size)
		}
	}
	fmt.Printf("  %s\n", title)
	var list results
	for i, p := range programs {
		r := result{p.name, median(times[i]), median(sizes[i])}
		list = append(list, r)
		fmt.Printf("    %-28s time %7.2f×  memory %6.2f×  (%.0f ms, %.0f MiB)\n", r.name, r.time/list[0].time, r.memory/list[0].memory, r.time*1000, r.memory)
	}
	return list, nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// maxExit is the largest exit code of a program that found something. Adamant has 3.
const maxExit = 3

// run runs a program. Its output is thrown away, and must not be empty: a program that
// prints nothing has checked nothing.
//
// The largest resident set is never less than that of this program, which the kernel
// counts until the other one is executed. So this one must remain small.
func (p program) run(ctx context.Context, path string) (seconds, mib float64, err error) {
	args := p.args(path)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out counter
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if args[len(args)-1] == "-" {
		in, err := os.Open(path)
		if err != nil {
			return 0, 0, err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	begin := time.Now()
	err = cmd.Run()
	took := time.Since(begin).Seconds()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() <= maxExit {
		err = nil
	}
	if err == nil && out == 0 {
		err = errors.New("it printed nothing")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%w\n%.2000s", err, stderr.Bytes())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return took, float64(usage.Maxrss) / 1024, nil
}

// A counter is a writer that counts bytes.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
