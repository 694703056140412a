package local

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/event"
)

// An ImagePolicy is when images that nothing uses are removed, as a kubelet does. An image
// of a generation that may run again is always used.
type ImagePolicy struct {
	High, Low  int           // use of the data directory's disk, in percent: beyond High images are removed until it is Low
	MinimumAge time.Duration // of images that may be removed, since they were loaded or pulled
}

// pruneEvery is the interval at which the use of the disk is checked.
const pruneEvery = time.Minute

// SetImagePolicy sets when images are removed; never if p is nil.
func (c *Controller) SetImagePolicy(p *ImagePolicy) { c.imagePolicy.Store(p) }

// pruneImages follows the image policy until the controller is closed.
func (c *Controller) pruneImages() {
	for clock.Sleep(c.ctx, pruneEvery) == nil {
		if p := c.imagePolicy.Load(); p != nil {
			if err := c.pruneBy(*p); err != nil && c.ctx.Err() == nil {
				c.log(err)
			}
		}
	}
}

// pruneBy removes images if the disk is fuller than a policy allows.
func (c *Controller) pruneBy(p ImagePolicy) error {
	used, err := diskUse(c.root)
	if err != nil || used <= p.High {
		return err
	}
	gone, err := c.engine.PruneImages(c.ctx, pod.PruneOptions{All: true, OlderThan: p.MinimumAge, Enough: func() (bool, error) {
		now, err := diskUse(c.root)
		return now <= p.Low, err
	}})
	if len(gone) == 0 {
		return err
	}
	var bytes int64
	for _, i := range gone {
		bytes += i.Size
	}
	message := fmt.Sprintf("%d%% of the disk were used: removed %s of up to %s that nothing uses", used, text.Count(len(gone), "image"), text.Bytes(bytes))
	logErr := c.store.update(func(t tx) error { return logEvent(t, event.New(event.Daemon, "ImagesRemoved", message)) })
	if err == nil {
		err = logErr
	}
	return err
}

// diskUse returns how much of a directory's file system is used, in percent of what users
// can have, as df prints it.
func diskUse(dir string) (int, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("use of the disk of %s: %w", dir, err)
	}
	used := st.Blocks - st.Bfree
	if used+st.Bavail == 0 {
		return 0, nil
	}
	return int((used*100 + used + st.Bavail - 1) / (used + st.Bavail)), nil
}
