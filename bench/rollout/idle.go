package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The limits of the daemon's cost while instances only run.
const (
	idleInstances = 100
	idlePeriod    = 10 // of the readiness probe, in seconds
	idleCPU       = 1  // percent of one processor
	idleMemory    = 60 // MiB, resident
)

// rest measures the daemon's cost while nothing happens.
func rest(ctx context.Context, d *daemonProcess, length time.Duration) error {
	if err := d.apply(ctx, "a", idleInstances, idlePeriod); err != nil {
		return err
	}
	pause := func(length time.Duration) error {
		select {
		case <-time.After(length):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := pause(15 * time.Second); err != nil { // the last second looks and the first drift checks are over
		return err
	}
	groups := []struct {
		name string
		pids []int
	}{
		{"adamant serve", []int{d.cmd.Process.Pid}},
		{"containerd", pidsOf("containerd", d.dir)},
		{"all shims together", pidsOf("containerd-shim", d.dir)},
	}
	before := make([]time.Duration, len(groups))
	for i, g := range groups {
		before[i] = processorTime(g.pids)
	}
	began := time.Now()
	if err := pause(length); err != nil {
		return err
	}
	elapsed := time.Since(began)
	fmt.Printf("rollout: %d ready instances, readiness probe every %d s, nothing else, for %s\n", idleInstances, idlePeriod, length)
	for i, g := range groups {
		cpu := 100 * float64(processorTime(g.pids)-before[i]) / float64(elapsed)
		rss, pss := memory(g.pids)
		fmt.Printf("  %-24s %6.2f %% of one processor, %6.1f MiB resident, %6.1f MiB with shared pages divided\n", g.name, cpu, rss, pss)
		if i == 0 {
			defer verdictOf(cpu, rss)
		}
	}
	return nil
}

func verdictOf(cpu, rss float64) {
	verdict := "reached"
	if cpu >= idleCPU || rss >= idleMemory {
		verdict = "MISSED"
	}
	fmt.Printf("  adamant serve costs %.2f %% and %.1f MiB; target: less than %d %% of one processor and %d MiB: %s\n",
		cpu, rss, idleCPU, idleMemory, verdict)
}

// pidsOf finds processes by their name, which the kernel truncates, and a
// directory in their command line.
func pidsOf(name, dir string) []int {
	var pids []int
	found, _ := filepath.Glob("/proc/[0-9]*/comm") // only a bad pattern is an error
	for _, path := range found {
		comm, _ := os.ReadFile(path) // it may have ended
		args, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if strings.TrimSpace(string(comm)) == name && bytes.Contains(args, []byte(dir)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// tick is the unit of /proc/PID/stat on every architecture that Go supports.
const tick = 10 * time.Millisecond

// processorTime returns the CPU time of processes in user mode and in the
// kernel, without those that have ended.
func processorTime(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		// The name may contain any characters. The fields from the third on
		// follow after its closing parenthesis.
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) < 13 {
			continue
		}
		for _, f := range fields[11:13] {
			n, _ := strconv.Atoi(f)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// memory returns the memory of processes in MiB: resident, and with each shared
// page divided by the number of processes that share it.
func memory(pids []int) (rss, pss float64) {
	for _, pid := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			kib, _ := strconv.ParseFloat(f[1], 64)
			switch f[0] {
			case "Rss:":
				rss += kib / 1024
			case "Pss:":
				pss += kib / 1024
			}
		}
	}
	return rss, pss
}
