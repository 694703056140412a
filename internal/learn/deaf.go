package learn

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/pod"
)

// graceOf returns the grace period for the end of a trial, in seconds: the pod's
// own, or 0 if none of its containers would notice the stop signal. -1 is the pod's
// own.
func (o Options) graceOf(ctx context.Context, p *pod.Pod) int64 {
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.State == pod.Started && !o.isDeaf(ctx, p, c) {
			return -1
		}
	}
	return 0
}

// isDeaf reports whether a container does not notice its stop signal: its process is
// the first one of its PID namespace, for which the kernel drops signals without a
// handler (pid_namespaces(7)), and it has neither a handler nor waits for the
// signal. It would run on until SIGKILL.
func (o Options) isDeaf(ctx context.Context, p *pod.Pod, c *pod.Container) bool {
	spec, ok := containerOf(p.Spec().Spec, c.Name)
	if !ok || c.PID == 0 || spec.Lifecycle != nil && spec.Lifecycle.PreStop != nil {
		return false
	}
	img, err := o.Engine.Image(ctx, c.Image)
	if err != nil {
		return false
	}
	name := cmp.Or(img.Config.StopSignal, "SIGTERM")
	if spec.Lifecycle != nil && spec.Lifecycle.StopSignal != nil {
		name = string(*spec.Lifecycle.StopSignal)
	}
	signal := unix.SignalNum(name)
	return signal != 0 && ignores(fmt.Sprintf("/proc/%d", c.PID), int(signal))
}

// ignores reports whether a process in /proc is the first one of its PID namespace
// and has no use for a signal. It returns false if that cannot be read.
func ignores(proc string, signal int) bool {
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return false
	}
	if inside := strings.Fields(statusField(status, "NSpid")); len(inside) < 2 || inside[len(inside)-1] != "1" {
		return false
	}
	threads, err := os.ReadDir(proc + "/task")
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, thread := range threads {
		dir := proc + "/task/" + thread.Name()
		status, err := os.ReadFile(dir + "/status")
		if err != nil {
			return false
		}
		for _, set := range []string{"SigCgt", "SigBlk"} {
			mask, err := strconv.ParseUint(statusField(status, set), 16, 64)
			if err != nil || mask&(1<<(signal-1)) != 0 {
				return false
			}
		}
		// While a thread waits for signals, they are not in its mask.
		call, err := os.ReadFile(dir + "/syscall")
		if err != nil || strings.HasPrefix(string(call), strconv.Itoa(unix.SYS_RT_SIGTIMEDWAIT)+" ") {
			return false
		}
	}
	return true
}

// statusField returns a field of /proc/PID/status.
func statusField(status []byte, name string) string {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
