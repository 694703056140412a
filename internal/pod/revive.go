package pod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// revive makes a pod anew that lost its sandbox, or whose revival was cut off:
// sandbox, volumes in memory, API data and all containers. Volumes on disk keep
// what is in them.
func (c *care) revive(ctx context.Context, p *Pod) error {
	if !p.needsRevival() {
		return nil
	}
	lock, err := c.e.hold(ctx, c.l)
	if err != nil {
		return err
	}
	defer lock.release()
	if c.over() {
		return errOver
	}
	c.say("", "SandboxChanged", "the sandbox of pod %s does not run; making it anew", p.Name)
	if err := c.e.eraseSandboxes(ctx, map[string]string{labelPodUID: c.l.uid, LabelRoot: c.l.rootID}); err != nil {
		return fmt.Errorf("revive: %w", err)
	}
	if err := c.bringUp(ctx); err != nil {
		return fmt.Errorf("revive: %w", err)
	}
	return p.Refresh(ctx)
}

// needsRevival reports whether a container that is to run cannot, or was never
// started.
func (p *Pod) needsRevival() bool {
	if p.Phase == Lost {
		return true
	}
	for i := range p.Containers {
		if c := &p.Containers[i]; p.Phase == Running && c.State == Waiting {
			return true
		}
	}
	return false
}

// nextNumber is the number of a container's next attempt: one more than the
// last that left a log, which outlives what the runtime remembers.
func (c *care) nextNumber(container string) uint32 {
	logs, err := os.ReadDir(filepath.Join(c.l.logs(), container))
	if err != nil {
		return 0
	}
	var next uint64
	for _, l := range logs {
		digits, _, _ := strings.Cut(l.Name(), ".")
		if n, err := strconv.ParseUint(digits, 10, 31); err == nil {
			next = max(next, n+1)
		}
	}
	return uint32(next)
}
