package local

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
)

// The layers below all containers are compared with the digests of their images, one
// image at a time: the first layersAfter the start, then one every layersEvery, and each
// again after layersAgain. Reading is paced to layersPace bytes a second. Threads of a Go
// program do not keep a priority of their own, so that the pace takes its place.
const (
	layersAfter = 15 * time.Minute
	layersEvery = 10 * time.Minute
	layersAgain = 24 * time.Hour
	layersPace  = 16 << 20
)

// verifyLayers verifies the layers of all workloads until the controller ends.
func (c *Controller) verifyLayers() {
	verified := map[string]time.Time{} // by image
	wait := cmp.Or(c.opts.layersEvery, layersAfter)
	for clock.Sleep(c.ctx, wait) == nil {
		wait = cmp.Or(c.opts.layersEvery, layersEvery)
		if w, i, container := c.nextLayers(verified); i != nil {
			verified[container.ImageID] = time.Now()
			w.verifyLayersOf(i, container)
		}
	}
}

// nextLayers returns the instance and container whose image was verified longest ago, or
// never. It forgets images that no instance uses.
func (c *Controller) nextLayers(verified map[string]time.Time) (next *workload, at *instance, of containerRoot) {
	used := map[string]bool{}
	for _, w := range c.all() {
		for _, i := range w.comparableInstances() {
			v, err := w.findRoots(c.ctx, i)
			if err != nil {
				continue // the comparison of the instance is unknown too
			}
			for _, container := range v.containers {
				last, known := verified[container.ImageID]
				used[container.ImageID] = true
				if known && time.Since(last) < layersAgain && c.opts.layersEvery == 0 {
					continue
				}
				if next == nil || last.Before(verified[of.ImageID]) {
					next, at, of = w, i, container
				}
			}
		}
	}
	for id := range verified {
		if !used[id] {
			delete(verified, id)
		}
	}
	c.tally.keepLayers(used)
	return next, at, of
}

// verifyLayersOf records an event if layers were changed or cannot be compared. The
// instance is not replaced: another one would start from the same layers.
func (w *workload) verifyLayersOf(i *instance, c containerRoot) {
	p := pace{ctx: w.ctx, rate: layersPace}
	r, err := c.pod.VerifyLayers(w.ctx, c.Container, inspect.LayersOptions{Pace: p.wait})
	if w.ctx.Err() != nil || !w.isCurrent(i) {
		return
	}
	w.controller.tally.countLayers(c.ImageID, r, err)
	switch {
	case r.Len() > 0:
		w.recordInstanceEvent(i, "BaselineChanged", "the unpacked image of container %s was changed on this machine: %s", c.Name, someOf(r))
		w.controller.log(fmt.Errorf("the unpacked image %s of %s was changed on this machine: %s; import it again", c.ImageID, w.key, someOf(r)))
	case err == nil && r.UnknownLen() > 0 && len(r.Unknowns) > 0:
		w.recordInstanceEvent(i, "BaselineUnknown", "the unpacked image of container %s could not be compared: %v", c.Name, r.Unknowns[0].Err)
	case err != nil:
		w.recordInstanceEvent(i, "BaselineUnknown", "the unpacked image of container %s could not be compared: %v", c.Name, err)
	}
}

// someOf lists the first paths of a report.
func someOf(r drift.Report) string {
	const some = 5
	var paths []string
	for _, ch := range r.Changes[:min(len(r.Changes), some)] {
		paths = append(paths, ch.Path)
	}
	if more := r.Len() - len(paths); more > 0 {
		paths = append(paths, fmt.Sprintf("%d more", more))
	}
	return strings.Join(paths, ", ")
}

// pace lets bytes pass at a rate.
type pace struct {
	ctx  context.Context
	rate int64 // bytes a second

	mu   sync.Mutex
	next time.Time // when the next bytes may pass
}

func (p *pace) wait(size int64) {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	until := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(size) / float64(p.rate) * float64(time.Second)))
	p.mu.Unlock()
	clock.Sleep(p.ctx, until)
}
