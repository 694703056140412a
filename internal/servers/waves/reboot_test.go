package waves

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

// bootGroup is a Group with a server that reboots.
type bootGroup struct {
	fakeGroup
	now, next change.Boot
	down      time.Duration // of a reboot
	lost      int           // requests whose answer is lost
	up        time.Time     // when next counts, zero if no reboot was requested
	requests  int
	never     bool // a request has no effect
}

func (g *bootGroup) Boot(_ context.Context, _ int, reboot string) (change.Boot, error) {
	if !g.up.IsZero() {
		if time.Now().Before(g.up) {
			return change.Boot{}, errors.New("no route to host")
		}
		g.now, g.up = g.next, time.Time{}
	}
	if reboot != "" && reboot == g.now.ID && !g.never {
		g.requests++
		g.up = time.Now().Add(g.down)
		if g.lost > 0 {
			g.lost--
			return change.Boot{}, errors.New("connection lost")
		}
		return change.Boot{ID: reboot, Refused: g.now.Refused}, nil
	}
	return g.now, nil
}

func TestReboot(t *testing.T) {
	units := []string{"app.service", "ssh.service"}
	old := change.Boot{ID: "a", Units: units}
	fresh := change.Boot{ID: "b", Units: units}
	needed := old
	needed.Reasons = []string{"linux-image-amd64 requested a reboot"}
	unsure := old
	unsure.Unknown = "needs-restarting -r exits with 2"
	refused := old
	refused.Refused = "the server has no program that reboots it"
	for name, test := range map[string]struct {
		mode   change.RebootMode
		group  *bootGroup
		before *Reboot

		outcome  Outcome
		cause    string
		requests int
		rebooted bool
	}{
		"never":           {change.RebootNever, &bootGroup{now: needed}, nil, Changed, "", 0, false},
		"not needed":      {change.RebootIfNeeded, &bootGroup{now: old}, nil, Changed, "", 0, false},
		"needed":          {change.RebootIfNeeded, &bootGroup{now: needed, next: fresh, down: time.Minute}, nil, Changed, "", 1, true},
		"not known":       {change.RebootIfNeeded, &bootGroup{now: unsure}, nil, HalfChanged, "whether it needs a reboot is not known: needs-restarting -r exits with 2", 0, false},
		"always":          {change.RebootAlways, &bootGroup{now: unsure, next: fresh}, nil, Changed, "", 1, true},
		"lost answer":     {change.RebootAlways, &bootGroup{now: old, next: fresh, lost: 1, down: time.Minute}, nil, Changed, "", 1, true},
		"does not return": {change.RebootAlways, &bootGroup{now: old, down: time.Hour}, nil, Unreachable, "it is not reached since its reboot began: it took longer than 5m0s", 1, false},
		"does not reboot": {change.RebootAlways, &bootGroup{now: old, never: true}, nil, HalfChanged, "it has not rebooted: it took longer than 5m0s", 0, false},
		"refused":         {change.RebootAlways, &bootGroup{now: refused}, nil, HalfChanged, "it was not rebooted: the server has no program that reboots it", 1, false},
		"unit":            {change.RebootAlways, &bootGroup{now: old, next: change.Boot{ID: "b", Units: units[1:]}}, nil, HalfChanged, "it was rebooted, and since then a unit is not active: app.service", 1, true},
		"still starting":  {change.RebootAlways, &bootGroup{now: old, next: change.Boot{ID: "b", Starting: true}}, nil, HalfChanged, "it was rebooted, and its units are still being started: it took longer than 5m0s", 1, false},
		"units not known": {change.RebootAlways, &bootGroup{now: old, next: change.Boot{ID: "b", NoUnits: "systemctl exits with 1"}}, nil, HalfChanged, "it was rebooted, and its units are not known: systemctl exits with 1", 1, true},
		"resumed":         {change.RebootAlways, &bootGroup{now: fresh}, &Reboot{Boot: "a", Units: units}, Changed, "", 0, true},
		"resumed before":  {change.RebootAlways, &bootGroup{now: old, next: fresh}, &Reboot{Boot: "a", Units: units}, Changed, "", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				saved := false
				b := rebooter{group: test.group, job: change.Job{Reboot: test.mode, RebootTimeout: 5 * time.Minute}, before: test.before,
					save: func(Reboot) error { saved = true; return nil }, note: func(string) {}}
				res := b.reboot(t.Context(), Result{Outcome: Changed})
				if res.Outcome != test.outcome || res.Cause != test.cause || res.Failed != (test.cause != "") {
					t.Errorf("got %s, %q; want %s, %q", res.Outcome, res.Cause, test.outcome, test.cause)
				}
				if test.group.requests != test.requests || test.requests > 0 && !saved {
					t.Errorf("%d reboots, recorded before: %t; want %d", test.group.requests, saved, test.requests)
				}
				if got := res.Reboot != nil && !res.Reboot.Ended.IsZero(); got != test.rebooted {
					t.Errorf("rebooted: %t, want %t", got, test.rebooted)
				}
			})
		})
	}
}

// A reboot that is not recorded must not begin.
func TestRebootIsRecordedBefore(t *testing.T) {
	g := bootGroup{now: change.Boot{ID: "a"}}
	b := rebooter{group: &g, job: change.Job{Reboot: change.RebootAlways, RebootTimeout: time.Minute}, note: func(string) {},
		save: func(Reboot) error { return errors.New("no space left on device") }}
	if res := b.reboot(t.Context(), Result{Outcome: Changed}); !strings.Contains(res.Cause, "no space") || g.requests > 0 {
		t.Errorf("got %q, %d reboots", res.Cause, g.requests)
	}
}
