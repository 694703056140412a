package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/web"
)

// A layer that is edited on this machine is found below all instances, without a
// replacement: another instance would start from the same layers.
func TestAnEditedLayerIsAnEvent(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "layers:1", "one", web.Good)
	events := make(chan pod.Event, 1000)
	c, err := Open(t.Context(), Options{
		Engine: e, Log: func(err error) { t.Log(err) }, Events: func(ev pod.Event) { events <- ev },
		driftEvery: time.Hour, layersEvery: 50 * time.Millisecond,
	})
	must(t, err)
	t.Cleanup(func() {
		empty(t, c)
		must(t, c.Close())
	})
	apply(t, c, deployment("layers", "layers:1", 1, nil, ""))
	s := ended(t, c, "layers", rollout.Complete)
	p, err := e.Find(t.Context(), s.Instances[0].Name)
	must(t, err)
	m, err := overlay.Find(p.Containers[0].PID)
	must(t, err)
	added := filepath.Join(m.Lower[0], "added")
	must(t, os.WriteFile(added, []byte("x"), 0o755))
	t.Cleanup(func() { must(t, os.Remove(added)) }) // other tests can have the same layer
	for ev := range events {
		if ev.Reason != "BaselineChanged" {
			continue
		}
		if !strings.Contains(ev.Message, "/added") {
			t.Errorf("message %q does not name the path", ev.Message)
		}
		break
	}
	if now, err := c.Status(s.Key); err != nil || now.Instances[0].Name != s.Instances[0].Name {
		t.Errorf("instances %+v, %v; want the same one", now.Instances, err)
	}
}
