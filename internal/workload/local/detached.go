package local

import (
	"errors"
	"fmt"
	"sync"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
)

// superviseDetached supervises the pods that adamant run -d started, also those from
// before this controller was opened, until the controller is closed.
func (c *Controller) superviseDetached() {
	var seen sync.Map // by UID: they are supervised, or have ended
	skip := func(uid string, spec *pod.PodSpec) bool {
		_, ok := seen.Load(uid)
		return ok || spec.Labels[labelGeneration] != ""
	}
	for c.ctx.Err() == nil {
		pods, err := c.engine.Unsupervised(c.ctx, skip)
		if err != nil && !pod.IsUnavailable(err) && c.ctx.Err() == nil {
			c.log(fmt.Errorf("find detached pods: %w", err))
		}
		for _, p := range pods {
			seen.Store(p.UID, nil)
			c.wg.Go(func() {
				err := superviseUntilDone(c.ctx, p, c.opts.Events)
				if errors.Is(err, pod.ErrSupervised) {
					seen.Delete(p.UID) // that process may end
				} else if err != nil && c.ctx.Err() == nil {
					c.log(err)
				}
			})
		}
		clock.Sleep(c.ctx, runtimeEvery)
	}
}
