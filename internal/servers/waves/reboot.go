package waves

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/servers/change"
)

// A Reboot is a reboot of a server after its change.
type Reboot struct {
	Reasons []string  `json:"reasons,omitempty"` // why the server needed it
	Boot    string    `json:"boot"`              // id of the boot before
	Units   []string  `json:"units,omitempty"`   // that were active before, and should be again
	NoUnits string    `json:"noUnits,omitempty"` // why units were not compared
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`    // the server has started again
	Stopped []string  `json:"stopped,omitempty"` // units that are not active any more
}

// errRebootLost is returned if the server was not reached again after its reboot began.
var errRebootLost = errors.New("it is not reached since its reboot began")

// The intervals of a reboot.
const (
	bootPoll   = time.Second      // between questions to the server
	bootAnswer = 30 * time.Second // for one answer
	bootNote   = 30 * time.Second // between notes about a reboot that is going on
	bootSettle = 10               // questions until a unit is regarded as stopped
)

// A rebooter reboots one server.
type rebooter struct {
	group  Group
	i      int
	job    change.Job
	before *Reboot            // of the run that is resumed, nil for none
	save   func(Reboot) error // stores that the reboot begins
	note   func(text string)
}

// reboot reboots a server if its job requests that, and returns the result of both. A
// server whose reboot failed is half changed, or unreachable.
func (b *rebooter) reboot(ctx context.Context, res Result) Result {
	if b.job.Reboot == "" || b.job.Reboot == change.RebootNever || !res.Succeeded() {
		return res
	}
	var err error
	if res.Reboot, err = b.do(ctx); err == nil {
		return res
	}
	res.Failed, res.Cause = true, err.Error()
	switch {
	case errors.Is(err, errRebootLost):
		res.Outcome = Unreachable
	case res.Outcome == Changed || res.Reboot != nil:
		res.Outcome = HalfChanged
	}
	return res
}

// do returns nil if the server needs no reboot.
func (b *rebooter) do(ctx context.Context) (*Reboot, error) {
	boot, err := b.ask(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("whether it needs a reboot is not known: %w", err)
	}
	if b.before != nil && b.before.Boot != boot.ID {
		// The run that is resumed was killed during the reboot.
		return b.finish(ctx, *b.before)
	}
	if b.job.Reboot == change.RebootIfNeeded && len(boot.Reasons) == 0 {
		if boot.Unknown != "" {
			return nil, fmt.Errorf("whether it needs a reboot is not known: %s", boot.Unknown)
		}
		return nil, nil
	}
	r := Reboot{Reasons: boot.Reasons, Boot: boot.ID, Units: boot.Units, NoUnits: boot.NoUnits, Began: time.Now()}
	if err := b.save(r); err != nil {
		return nil, err
	}
	b.note("reboots" + because(boot.Reasons))
	return b.finish(ctx, r)
}

func because(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons, "; ")
}

// finish requests the reboot unless it was carried out, waits for its end and compares the
// units.
func (b *rebooter) finish(ctx context.Context, r Reboot) (*Reboot, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.job.RebootTimeout, fmt.Errorf("it took longer than %v", b.job.RebootTimeout))
	defer cancel()
	now, err := b.wait(ctx, r)
	if err != nil {
		return &r, err
	}
	r.Ended = time.Now()
	if r.NoUnits != "" {
		return &r, nil
	}
	for range bootSettle {
		if r.Stopped = missing(r.Units, now.Units); len(r.Stopped) == 0 && now.NoUnits == "" {
			return &r, nil
		}
		if clock.Sleep(ctx, bootPoll) != nil {
			break
		}
		if again, err := b.ask(ctx, ""); err == nil {
			now = again
		}
	}
	if now.NoUnits != "" {
		r.Stopped = nil
		return &r, fmt.Errorf("it was rebooted, and its units are not known: %s", now.NoUnits)
	}
	return &r, fmt.Errorf("it was rebooted, and since then %s not active: %s", isOrAre(len(r.Stopped)), someOf(r.Stopped))
}

func isOrAre(n int) string {
	if n == 1 {
		return "a unit is"
	}
	return fmt.Sprintf("%d units are", n)
}

// maxStopped bounds the units that a cause names.
const maxStopped = 5

func someOf(units []string) string {
	n := min(len(units), maxStopped)
	return strings.Join(units[:n], ", ") + andMore(len(units)-n)
}

// missing returns the units of before that are not in after.
func missing(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(before), func(unit string) bool { return slices.Contains(after, unit) })
}

// wait requests the reboot, and returns when the server has started again.
func (b *rebooter) wait(ctx context.Context, r Reboot) (change.Boot, error) {
	began, requested := time.Now(), false
	noted := began
	for {
		now, err := b.ask(ctx, requestOf(r.Boot, requested))
		if err == nil && now.Refused != "" {
			return now, fmt.Errorf("it was not rebooted: %s", now.Refused)
		}
		requested = requested || err == nil
		if err == nil && now.ID != r.Boot && !now.Starting {
			return now, nil
		}
		if time.Since(noted) >= bootNote {
			noted = time.Now()
			b.note(fmt.Sprintf("is rebooting since %v", time.Since(began).Round(time.Second)))
		}
		if clock.Sleep(ctx, bootPoll) == nil {
			continue
		}
		switch why := context.Cause(ctx); {
		case err != nil:
			return now, fmt.Errorf("%w: %w", errRebootLost, cmp.Or(why, err))
		case now.ID != r.Boot:
			return now, fmt.Errorf("it was rebooted, and its units are still being started: %w", why)
		default:
			return now, fmt.Errorf("it has not rebooted: %w", why)
		}
	}
}

// requestOf returns the id with which a question requests a reboot. The request may be
// repeated, because a server reboots only if the boot has that id.
func requestOf(id string, requested bool) string {
	if requested {
		return ""
	}
	return id
}

// ask returns the server's boot. A connection to a server that is rebooting may block.
func (b *rebooter) ask(ctx context.Context, reboot string) (change.Boot, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bootAnswer, fmt.Errorf("no answer within %v", bootAnswer))
	defer cancel()
	return b.group.Boot(ctx, b.i, reboot)
}
