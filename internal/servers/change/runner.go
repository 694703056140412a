package change

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/reach"
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
	login       []string             // files that are saved for logins, see loginPaths
	target      *reach.State         // see findTarget
	unattended  bool                 // nobody asked to take the change back, so that logins may be impossible
}

// Run carries out a change and returns when it has finished: confirmed, or reverted.
// Only the process that Start starts calls it. If that process was killed and is started
// again, Run takes the change back, unless that cannot have been meant.
//
// The state on disk names a stage before it begins. If this process is killed, the
// stage shows how far it came, and Revert can take back what was done.
func (s Store) Run(ctx context.Context, id, cache string) error {
	changeLock, err := lockWhile(ctx, s.path(id, "lock"), func() bool { return true })
	if err != nil {
		return err
	}
	defer durable.Unlock(changeLock)
	r := &runner{store: s, cache: cache}
	if r.state, err = s.readState(id); err != nil || r.state.Finished() {
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
	if r.state.Stage != Saving || exists(s.find(id, "saving")) {
		return r.recover(ctx)
	}
	if err := s.writeBytes(id, "saving", nil); err != nil {
		return r.refuse(err)
	}
	if err := r.installBootUnit(); err != nil {
		// A full or read-only disk is often the reason for a change.
		reason := "a restart of the server in the middle of the change would not be reverted: " + describe("write the unit", err).Error()
		r.state.Unknowns = append(r.state.Unknowns, facts.Unknown{Path: bootUnit, Reason: reason, Section: unrestorable})
	}
	// Nothing is changed before everything that the undo needs is stored.
	before, err := r.save(ctx)
	if err != nil {
		return r.refuse(err)
	}
	if err := r.setStage(Changing); err != nil {
		return r.refuse(err)
	}
	r.apply(ctx)
	r.keepStage(Checking)
	r.compare(ctx, before)
	return r.awaitConfirmation(ctx)
}

// recover ends a change whose process was killed, or whose server was restarted. A change
// that needs a confirmation is taken back: the caller cannot confirm it to a process that
// has ended.
func (r *runner) recover(ctx context.Context) error {
	why := fmt.Sprintf("its process was killed while it was %s", r.state.Stage)
	if r.state.Boot != reach.BootID() {
		why = fmt.Sprintf("the server was restarted while it was %s", r.state.Stage)
	}
	switch {
	case r.state.Stage == Saving:
		return r.refuse(errors.New(why))
	case r.state.Stage == Unconfirmed && r.store.isConfirmed(r.job.ID):
		return r.finish(Confirmed)
	case r.job.Confirm == 0 && r.state.Undo == nil:
		r.fail(errors.New(why))
		return r.finish(Interrupted)
	}
	if u := r.state.Undo; u != nil {
		why = u.Why
	} else {
		r.fail(errors.New(why))
	}
	rebooted := r.state.Undo != nil && r.state.Undo.Rebooted
	if r.state.Stage != Unconfirmed && r.state.Count == 0 {
		r.state.Stage = Interrupted // so that loadChanges compares with the saved files
	}
	if err := r.loadChanges(ctx); err != nil {
		return err
	}
	return r.revertUnattended(ctx, why, rebooted)
}

// revertUnattended takes a change back without a caller who waits for it, and waits for
// one who logs in.
func (r *runner) revertUnattended(ctx context.Context, why string, rebooted bool) error {
	awaitShutdown(ctx)
	r.unattended = true
	r.beginUndo(why)
	r.state.Undo.Rebooted = rebooted
	r.tryEach(ctx, r.endLeftovers, r.cancelShutdown)
	r.revertAll(ctx)
	r.verifyLogin(ctx)
	r.tryEach(ctx, r.findUnrestored)
	return r.endUndo()
}

// setStage records that a stage begins.
func (r *runner) setStage(stage Stage) error {
	r.state.Stage = stage
	return r.store.write(r.state)
}

// keepStage records that a stage begins, and continues if that fails: once something has
// changed, a change must be completed or reverted, whatever can be stored.
func (r *runner) keepStage(stage Stage) {
	if err := r.setStage(stage); err != nil {
		fmt.Fprintln(os.Stderr, "record the stage", stage+":", err)
	}
}

// shutdownTimeout bounds the wait for the end of a server that is shutting down.
const shutdownTimeout = 5 * time.Minute

// awaitShutdown waits for the end of a server that is shutting down: the change is taken
// back after the restart, because nothing can be restored meanwhile.
func awaitShutdown(ctx context.Context) {
	for began := time.Now(); reach.IsStopping(ctx) && time.Since(began) < shutdownTimeout; {
		if clock.Sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// ExitOnShutdown makes this process end if it gets a signal to do so while the server is
// shutting down, and ignore it otherwise: systemd waits for the end of each process.
func ExitOnShutdown() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for range signals {
			if reach.IsStopping(context.Background()) {
				os.Exit(1)
			}
		}
	}()
}

// finish records the last stage of a change that is not taken back.
func (r *runner) finish(stage Stage) error {
	r.removeBootUnit()
	r.store.releaseReserve(r.job.ID)
	_ = os.Remove(r.store.path(r.job.ID, "program")) // of the boot unit
	return r.setStage(stage)
}

// refuse ends a job before it has changed anything.
func (r *runner) refuse(why error) error {
	r.fail(why)
	r.state.Ended = time.Now()
	if err := r.finish(Refused); err != nil {
		return errors.Join(why, err)
	}
	return nil
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
	if err := r.saveAfter(ctx); err != nil {
		r.state.Unknowns = append(r.state.Unknowns, facts.Unknown{Path: "network and units", Reason: err.Error(), Section: unrestorable})
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
		return r.finish(confirmed)
	}
	r.keepStage(Unconfirmed)
	// The confirmation is a file that is polled. The caller and this process share
	// nothing else: the connection that started the change may be gone.
	deadline := time.Now().Add(r.job.Confirm)
	for time.Now().Before(deadline) {
		if r.store.isConfirmed(r.job.ID) {
			return r.finish(confirmed)
		}
		if err := clock.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return r.revertUnattended(ctx, fmt.Sprintf("nobody confirmed it over a new connection within %v", r.job.Confirm), false)
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
