package learn

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod"
)

// startTime is what a trial is expected to take beside its load, until one was
// measured.
const startTime = 15 * time.Second

// A forecast estimates when all trials will have ended. It is shared by the copies
// of Options, and a nil one does nothing.
type forecast struct {
	tell func(end time.Time, detail string)

	mu      sync.Mutex
	trials  int           // that are left, the current one included
	each    time.Duration // of a trial, the last one that was measured
	began   time.Time     // of the current trial
	detail  string
	started map[string]bool // containers of the current trial
}

// expect adds trials that will be run.
func (f *forecast) expect(trials int) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trials += trials
}

// begin begins a trial, and returns the function that ends it.
func (f *forecast) begin(load Load) (end func()) {
	if f == nil || f.tell == nil {
		return func() {}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.each == 0 {
		f.each = startTime + load.For + orElse(load.Quiet, defaultQuiet)
	}
	f.trials = max(f.trials, 1) // another one than was expected, as after a failed proof
	f.began, f.started = time.Now(), map[string]bool{}
	f.detail = ""
	f.say()
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.trials--
		f.each = time.Since(f.began)
	}
}

// say shows the estimate. The caller holds mu.
func (f *forecast) say() {
	f.tell(f.began.Add(time.Duration(f.trials)*f.each), f.detail)
}

// events returns what shows how many containers of a pod were started.
func (f *forecast) events(spec *corev1.PodSpec) pod.Events {
	if f == nil || f.tell == nil {
		return nil
	}
	all := len(spec.InitContainers) + len(spec.Containers)
	return func(e pod.Event) {
		if e.Reason != "Started" {
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.started[e.Container] = true
		f.detail = ""
		if n := len(f.started); n < all {
			f.detail = fmt.Sprintf("started %d of %d containers", n, all)
		}
		f.say()
	}
}
