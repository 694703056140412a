package waves

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A Group is the servers of a record, by index: those of its results, then its others.
// Its methods may be called by several goroutines.
type Group interface {
	// Change makes a server carry out a job and returns when the job has finished. An
	// error means that its end is unknown. A state without a stage means that nothing
	// began.
	Change(ctx context.Context, i int, job change.Job) (change.State, error)
	// Follow returns the end of a change that an earlier run began, and waits for it. A
	// state without a stage means that the server does not have the change.
	Follow(ctx context.Context, i int, id string) (change.State, error)
	// Revert makes a server take a change back.
	Revert(ctx context.Context, i int, id, why string) (change.State, error)
	// Boot returns a server's boot. With the id of a boot in reboot, the server reboots
	// unless it did so since that boot; then only the ID of the result counts.
	Boot(ctx context.Context, i int, reboot string) (change.Boot, error)
	// Compare compares servers.
	Compare(ctx context.Context, which []int) (Inspection, error)
}

// An Inspection is the state of the servers of a Group at one time.
type Inspection struct {
	Comparison compare.Comparison
	Packages   map[string]map[string][]facts.InstalledPackage // by server and name
}

// Options configures a run.
type Options struct {
	Batches     Batches
	MaxFailures Share // of all servers; if more fail, the run ends after the wave
	Parallel    int   // servers of a wave that are changed at the same time
	Revert      bool  // take half changed servers back
	// Earlier are the changes, by server, that the run that is resumed began.
	Earlier map[string]string
	// OnResult is called with each result, by several goroutines.
	OnResult func(Result)
	// OnNote is called with the progress on a server, by several goroutines.
	OnNote func(server, text string)
	// Reboots are the reboots of the run that is resumed, by server.
	Reboots map[string]*Reboot
}

// Run changes servers wave by wave. It fills in the record, which has the names of the
// servers, and calls save whenever the record changes. A wave begins only if at most
// MaxFailures servers failed and the servers before it were verified. An error is
// returned if the run could not continue; servers that fail are not an error.
func Run(ctx context.Context, f Group, job change.Job, o Options, r *Record, save func() error) error {
	waves := o.Batches.Waves(len(r.Results))
	for n, wave := range waves {
		for _, i := range wave {
			r.Results[i].Wave = n + 1
		}
	}
	for _, wave := range waves {
		if r.failures() > o.MaxFailures.of(len(r.Results)) {
			r.Stopped = fmt.Sprintf("%d of %d servers failed, and %d may", r.failures(), len(r.Results), o.MaxFailures.of(len(r.Results)))
			break
		}
		if err := runWave(ctx, f, job, o, r, wave, save); err != nil {
			r.markNotBegun()
			return err
		}
	}
	r.markNotBegun()
	return summarize(ctx, f, job, r)
}

// markNotBegun sets the outcome of servers whose turn did not come.
func (r *Record) markNotBegun() {
	for i := range r.Results {
		if r.Results[i].Outcome == "" {
			r.Results[i].Outcome = NotBegun
		}
	}
}

// runWave changes the servers of one wave in parallel and verifies them.
func runWave(ctx context.Context, f Group, job change.Job, o Options, r *Record, wave []int, save func() error) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs []error
	places := make(chan struct{}, max(o.Parallel, 1))
	for _, i := range wave {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			mine := jobFor(job, r, i)
			mu.Lock()
			err := r.recordStart(i, mine.ID, save)
			errs = append(errs, err)
			mu.Unlock()
			if err != nil {
				return
			}
			name, number := r.Results[i].Server, r.Results[i].Wave
			res := changeOrFollow(ctx, f, i, mine, o, name, rebooter{
				group: f, i: i, job: mine, before: o.Reboots[name],
				save: func(b Reboot) error {
					mu.Lock()
					defer mu.Unlock()
					r.Results[i].Reboot = &b
					return save()
				},
				note: func(text string) { o.note(name, text) },
			})
			mu.Lock()
			defer mu.Unlock()
			res.Server, res.Wave = name, number
			if ctx.Err() != nil && !res.Change.Finished() {
				res.Outcome, res.Failed, res.Cause = Unreachable, true, continues
				res.Change.ID = mine.ID
			}
			r.Results[i] = res
			errs = append(errs, save())
			if o.OnResult != nil && res.Cause != continues {
				o.OnResult(res)
			}
		})
	}
	wg.Wait()
	// A failed save ends the run, because further changes would not be recorded.
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return err
	}
	return verify(ctx, f, r, wave, o, save)
}

// maxRecorded bounds the changed files of a server in a record.
const maxRecorded = 1000

// recordStart stores the id of a change before it begins. If the run is killed after
// that, the id is enough to ask the server and to revert the change. If the id cannot be
// stored, the change must not begin.
func (r *Record) recordStart(i int, id string, save func() error) error {
	r.Results[i].Change.ID = id
	err := save()
	if err != nil {
		r.Results[i].Change.ID = ""
	}
	return err
}

// jobFor returns the job of one server, with an id that is unique among its changes.
func jobFor(job change.Job, r *Record, i int) change.Job {
	job.ID = fmt.Sprintf("%s-%d", r.ID, i+1)
	return job
}

// continues is the cause of a result that is not known because the run was ended.
const continues = "the run was ended; the server continues by itself, and --resume asks for the result"

// changeOrFollow changes a server. If an earlier run began a change there, it first asks
// for the end of that one, because the server may still be changing, or have succeeded.
func changeOrFollow(ctx context.Context, f Group, i int, job change.Job, o Options, server string, b rebooter) Result {
	id := o.Earlier[server]
	if id == "" {
		return changeServer(ctx, f, i, job, o, b)
	}
	st, err := f.Follow(ctx, i, id)
	if res := resultOf(st, err); err != nil || st.Stage != "" && res.Succeeded() {
		return b.reboot(ctx, res)
	}
	return changeServer(ctx, f, i, job, o, b)
}

func (o Options) note(server, text string) {
	if o.OnNote != nil {
		o.OnNote(server, text)
	}
}

func changeServer(ctx context.Context, f Group, i int, job change.Job, o Options, b rebooter) Result {
	st, err := f.Change(ctx, i, job)
	st.Files = st.Files[:min(len(st.Files), maxRecorded)]
	res := b.reboot(ctx, resultOf(st, err))
	if res.Outcome != HalfChanged || !o.Revert || err != nil || st.Stage == change.Reverted {
		return res
	}
	why := "it was half changed"
	if res.Reboot != nil {
		why = res.Cause
	}
	if reverted, err := f.Revert(ctx, i, job.ID, why); err == nil {
		back := resultOf(reverted, nil)
		back.Reboot = res.Reboot
		return back
	} else {
		res.Cause += "; it could not be taken back: " + err.Error()
	}
	return res
}

// verify compares the servers that were changed so far. The same change must have led to
// the same packages, so a server of this wave that deviates is half changed, even if it
// reports success. Only packages count: files may hold the name of their server.
func verify(ctx context.Context, f Group, r *Record, wave []int, o Options, save func() error) error {
	var fine []int
	for i, res := range r.Results {
		if res.Wave <= r.Results[wave[0]].Wave && res.Succeeded() {
			fine = append(fine, i)
		}
	}
	// A resumed run must agree with the servers on which the first run succeeded.
	for i := range r.Others {
		fine = append(fine, len(r.Results)+i)
	}
	if len(fine) < 2 {
		return nil
	}
	look, err := f.Compare(ctx, fine)
	if err != nil {
		return fmt.Errorf("verify wave %d: %w", r.Results[wave[0]].Wave, err)
	}
	for _, i := range wave {
		res := &r.Results[i]
		if !res.Succeeded() {
			continue
		}
		if why := deviates(look.Comparison, r, res.Server); why != "" {
			res.Outcome, res.Failed, res.Cause = HalfChanged, true, why
			if o.OnResult != nil {
				o.OnResult(*res)
			}
		}
	}
	return save()
}

// deviates returns the first package that the run changed and that differs from the other
// servers, empty if there is none.
func deviates(c compare.Comparison, r *Record, name string) string {
	if why := c.Unreached[name]; why != "" {
		return "it cannot be verified: " + why
	}
	for _, d := range c.Differences {
		if d.Section != facts.Package || !r.touched(d.Name()) {
			continue
		}
		if slices.Contains(d.Odd, name) {
			return fmt.Sprintf("%s is %s, and %s on most others", d.Key, versionOrNone(d.Values[name]), versionOrNone(d.Usual))
		}
		if d.Split {
			return fmt.Sprintf("%s is %s, and something else on others", d.Key, versionOrNone(d.Values[name]))
		}
	}
	return ""
}

func versionOrNone(version string) string {
	if version == "" {
		return "not there"
	}
	return version
}

// Undo takes an earlier run back on the servers of the record.
func Undo(ctx context.Context, f Group, before Record, o Options, r *Record, save func() error) error {
	var errs []error
	for i := range r.Results {
		res := &r.Results[i]
		res.Wave = 1
		id := before.changeOn(res.Server)
		if id == "" {
			res.Outcome = Unchanged
			continue
		}
		errs = append(errs, r.recordStart(i, id, save)) // an undo continues without a record: leaving a bad change is worse
		st, err := f.Revert(ctx, i, id, "run "+r.ID+" takes it back")
		st.Files = st.Files[:min(len(st.Files), maxRecorded)]
		*res = undoResult(*res, st, err)
		errs = append(errs, save())
		if o.OnResult != nil {
			o.OnResult(*res)
		}
	}
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return err
	}
	return summarize(ctx, f, change.Job{}, r)
}

// undoResult returns the result of taking a change back on demand.
func undoResult(res Result, st change.State, err error) Result {
	res.Change = st
	switch {
	case err != nil:
		res.Outcome, res.Failed, res.Cause = Unreachable, true, err.Error()
	case st.Undo == nil:
		res.Outcome = Unchanged
	case st.Stage != change.Reverted || st.Undo.Cause != "" || len(st.Undo.Left) > 0:
		res.Outcome, res.Failed, res.Cause = HalfChanged, true, whyReverted(st)
	default:
		res.Outcome = RolledBack
	}
	return res
}
