package local

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/conformance"
	"github.com/adamant-sh/adamant/test/web"
)

// TestConformance checks that instances on this machine behave like those in a
// cluster.
func TestConformance(t *testing.T) {
	conformance.Run(t, newWorld)
}

// A world is one workload on the lab's engine.
type world struct {
	t          *testing.T
	engine     *pod.Engine
	mu         sync.Mutex // of controller: Ready runs beside the other methods
	controller *Controller
	key        Key
	opened     time.Time         // when the controller was opened; it knows a moment later which instances are ready
	images     map[string]string // generations by version
}

var worlds atomic.Int32

func newWorld(t *testing.T) conformance.World {
	e := openEngine(t)
	w := &world{t: t, engine: e, key: Key{"default", "Deployment", fmt.Sprintf("world%d", worlds.Add(1))}, images: map[string]string{}}
	w.open()
	t.Cleanup(func() {
		empty(t, w.controller)
		must(t, w.controller.Close())
	})
	return w
}

func (w *world) open() {
	c, err := Open(context.Background(), Options{Engine: w.engine, Log: func(err error) { w.t.Log(err) }})
	must(w.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.controller, w.opened = c, time.Now()
}

// natures are those of the web server. A version without one is good.
var natures = map[conformance.Nature]string{
	conformance.Crashes: web.Crashes, conformance.NeverReady: web.NeverReady, conformance.PageRefuses: web.Errors,
}

var gates = map[conformance.Nature]map[string]string{
	conformance.Passes:         {rollout.AnnotationCommand: "pass", rollout.AnnotationHTTP: "/?a=b"},
	conformance.CommandRefuses: {rollout.AnnotationCommand: "refuse"},
	conformance.PageRefuses:    {rollout.AnnotationHTTP: ":8080/"},
}

// Apply loads an image for the version and applies it.
func (w *world) Apply(ctx context.Context, version string, n conformance.Nature) error {
	image := w.key.Name + "-" + version
	loadVersion(w.t, w.engine, image, version, natures[n])
	annotations := map[string]string{rollout.AnnotationOnDrift: "report"}
	maps.Copy(annotations, gates[n])
	text := deployment(w.key.Name, image+":1", conformance.Spec().Replicas, annotations, "")
	f, err := manifest.Parse("world.yaml", []byte(text))
	if err != nil {
		return err
	}
	if w.controller.ctx.Err() != nil {
		w.open() // a daemon that was killed is there again when somebody applies
	}
	out, err := w.controller.Apply(ctx, f, ApplyOptions{Retry: true})
	if err == nil {
		w.images[fmt.Sprint(out.Results[0].Generation)] = version
	}
	return err
}

func (w *world) Wait(ctx context.Context) (rollout.State, error) {
	for {
		r, err := w.controller.record(w.key)
		if err != nil || r.State.Phase.Ended() {
			return r.State, err
		}
		clock.Sleep(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			return r.State, ctx.Err()
		}
	}
}

func (w *world) Instances(context.Context) (map[string]int, error) {
	s, err := w.controller.Status(w.key)
	got := map[string]int{}
	for _, i := range s.Instances {
		if i.Phase != "Ending" {
			got[w.images[fmt.Sprint(i.Generation)]]++
		}
	}
	return got, err
}

// Ready asks the controller or, after Kill, the runtime.
func (w *world) Ready(ctx context.Context) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.controller.ctx.Err() == nil {
		s, err := w.controller.Status(w.key)
		if err == nil && time.Since(w.opened) > 5*time.Second {
			return s.Ready, nil
		}
		if err != nil {
			return 0, err
		}
	}
	pods, err := w.engine.Pods(ctx)
	n := 0
	for _, p := range pods {
		if p.Workload == workloadName(w.key) && p.Phase == pod.Running {
			n++
		}
	}
	return n, err
}

// Kill closes the controller and leaves the pods running.
func (w *world) Kill() { must(w.t, w.controller.Close()) }

func (w *world) Resume(context.Context) error {
	w.open()
	return nil
}
