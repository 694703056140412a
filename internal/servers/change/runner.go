package change

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxFiles bounds the changed files in a state, which is sent over the network. The
// complete list stays on the server for an undo.
const maxFiles = 5000

// A runner carries out one change, or takes it back.
type runner struct {
	store       Store
	job         Job
	state       State
	root        *rootfs.Root
	cache       string               // file of the scan cache
	packages    packageManager       // nil if the job has no packages
	files       []compare.FileChange // all changed files
	incomplete  error                // why some changed files are not known
	editedSince pathSet              // paths in files that were edited after the change
	saved       []string             // paths, without symbolic links, below which files were saved
}

// Run carries out a change and returns when it has finished: confirmed, or reverted.
// Only the process that Start starts calls it.
//
// The state on disk names a stage before it begins. If this process is killed, the
// stage shows how far it came, and Revert can take back what was done.
func (s Store) Run(ctx context.Context, id, cache string) error {
	r := &runner{store: s, cache: cache}
	var err error
	if r.state, err = s.State(id); err != nil {
		return err
	}
	if r.job, err = s.job(id); err != nil {
		return err
	}
	if r.root, err = rootfs.Open("/"); err != nil {
		return err
	}
	defer r.root.Close()
	lock, err := s.lockServer(ctx, id)
	if err != nil {
		return r.refuse(err)
	}
	defer durable.Unlock(lock)
	// Nothing is changed before everything that the undo needs is on the disk.
	before, err := r.save(ctx)
	if err != nil {
		return r.refuse(err)
	}
	if err := r.setStage(Changing); err != nil {
		return err
	}
	r.apply(ctx)
	if err := r.setStage(Checking); err != nil {
		return err
	}
	r.compare(ctx, before)
	return r.awaitConfirmation(ctx)
}

// setStage records that a stage begins.
func (r *runner) setStage(stage Stage) error {
	r.state.Stage = stage
	return r.store.write(r.state)
}

// refuse ends a job before it has changed anything.
func (r *runner) refuse(why error) error {
	r.fail(why)
	r.state.Ended = time.Now()
	return errors.Join(why, r.setStage(Refused))
}

// fail marks the change as failed. The first cause counts, because later ones follow
// from it.
func (r *runner) fail(why error) {
	r.state.Failed = true
	if r.state.Cause == "" {
		r.state.Cause = why.Error()
	}
}

// An observation is the files and facts of the server at one time.
type observation struct {
	scan     *facts.Scan
	facts    []facts.Fact
	unknowns []facts.Unknown // of facts; those of files are in scan
}

func (r *runner) observe(ctx context.Context) (observation, error) {
	o := facts.ScanOptions{Own: true}
	if r.cache != "" {
		// Agents scan other files (ScanOptions.Own), so they must not share a cache.
		o.Cache = r.cache + "-own"
	}
	scan, err := facts.ScanRoot(ctx, r.root, o)
	if err != nil {
		return observation{}, fmt.Errorf("read files: %w", err)
	}
	list, unknowns := facts.Facts(ctx, r.root, true)
	return observation{scan, list, unknowns}, nil
}

// apply carries out the steps of the job until one fails.
func (r *runner) apply(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.job.Timeout)
	defer cancel()
	defer func() { r.state.Ended = time.Now() }()
	out := &tailBuffer{max: maxOutput}
	defer func() { r.state.Output = out.String() }()
	for _, step := range []func(context.Context, *tailBuffer) error{r.installPackages, r.copyFiles, r.runCommands} {
		err := step(ctx, out)
		// A killed program returns an error that does not name the reason.
		if ctx.Err() != nil {
			err = fmt.Errorf("the change took longer than %v and was killed", r.job.Timeout)
		}
		if err != nil {
			r.fail(err)
			return
		}
	}
}

// compare finds the effects of the change by comparing the server with its state
// before, whether or not a step failed, and checks the packages that the job requests.
func (r *runner) compare(ctx context.Context, before observation) {
	after, err := r.observe(ctx)
	if err != nil {
		r.fail(err)
		return
	}
	r.state.Facts = compare.FactChanges(before.facts, after.facts, slices.Concat(before.unknowns, after.unknowns)...)
	if r.files, err = compare.FileChanges(before.scan, after.scan); err != nil {
		r.fail(err)
	}
	r.addUnknowns(before.scan.Summary().Unknowns, after.scan.Summary().Unknowns, before.unknowns, after.unknowns)
	r.files = knownChanges(r.files, r.state.Unknowns)
	if err := r.saveChanges(); err != nil {
		r.fail(describe("save the list of changed files", err))
	}
	if err := r.checkPackages(ctx); err != nil {
		r.fail(err)
	}
}

// awaitConfirmation is a dead-man switch: it reverts the change unless a caller
// confirms it in time. Only a caller that opened a new connection after the change
// confirms, so a change that cuts off the network, sshd or the user reverts itself.
//
// A change that left no trace in files and facts has to be confirmed, too: rules of a
// firewall are neither.
func (r *runner) awaitConfirmation(ctx context.Context) error {
	confirmed := Confirmed
	if !r.state.Changed() {
		confirmed = Unchanged
	}
	if r.job.Confirm == 0 {
		return r.setStage(confirmed)
	}
	if err := r.setStage(Unconfirmed); err != nil {
		return err
	}
	// The confirmation is a file that is polled. The caller and this process share
	// nothing else: the connection that started the change may be gone.
	deadline := time.Now().Add(r.job.Confirm)
	for time.Now().Before(deadline) {
		if r.store.isConfirmed(r.job.ID) {
			return r.setStage(confirmed)
		}
		if err := clock.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return r.revert(ctx, fmt.Sprintf("nobody confirmed it over a new connection within %v", r.job.Confirm))
}

// describe adds an operation to an error, and drops the one that package os adds: the
// path of a system call means nothing to a reader on another machine.
func describe(operation string, err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", operation, err)
}
