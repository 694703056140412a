package change

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxFiles bounds how many changed files are told one by one. To take a change
// back, all of them are kept.
const maxFiles = 5000

// A Carrier carries out one change.
type runner struct {
	store       Store
	job         Job
	state       State
	files       []compare.FileChange // all that changed
	incomplete  error                // why those are not all known
	editedSince pathSet              // of those, what somebody changed again afterwards
	saved       []string             // the paths, without symbolic links, below which files were saved
	root        *rootfs.Root
	cache       string // of scans
}

// Carry carries out the change of an id, and returns when it is over: confirmed,
// or reverted. Only the process that Begin started calls it.
func (s Store) Run(ctx context.Context, id, cache string) error {
	c := &runner{store: s, cache: cache}
	var err error
	if c.state, err = s.State(id); err != nil {
		return err
	}
	if c.job, err = s.job(id); err != nil {
		return err
	}
	if c.root, err = rootfs.Open("/"); err != nil {
		return err
	}
	defer c.root.Close()
	one, err := s.lockServer(ctx, id)
	if err != nil {
		return c.refuse(err)
	}
	defer one.Close()
	before, err := c.save(ctx)
	if err != nil {
		return c.refuse(err)
	}
	if err := c.setStage(Changing); err != nil {
		return err
	}
	c.apply(ctx)
	if err := c.setStage(Checking); err != nil {
		return err
	}
	c.compare(ctx, before)
	return c.awaitConfirmation(ctx)
}

// enter writes down that a stage begins.
func (c *runner) setStage(stage Stage) error {
	c.state.Stage = stage
	return c.store.write(c.state)
}

// refuse ends a change before anything was changed.
func (c *runner) refuse(why error) error {
	c.fail(why)
	c.state.Ended = time.Now()
	return errors.Join(why, c.setStage(Refused))
}

// fail keeps the first cause.
func (c *runner) fail(why error) {
	c.state.Failed = true
	if c.state.Cause == "" {
		c.state.Cause = why.Error()
	}
}

// A survey is a server at one time.
type observation struct {
	scan     *facts.Scan
	facts    []facts.Fact
	unknowns []facts.Unknown // sections of facts
}

func (c *runner) observe(ctx context.Context) (observation, error) {
	o := facts.ScanOptions{Own: true}
	if c.cache != "" {
		o.Cache = c.cache + "-own" // beside that of agents, which compare other files
	}
	scan, err := facts.ScanRoot(ctx, c.root, o)
	if err != nil {
		return observation{}, fmt.Errorf("read the files: %w", err)
	}
	list, unknowns := facts.Facts(ctx, c.root, true)
	return observation{scan, list, unknowns}, nil
}

// carry does what is to be done, until something fails.
func (c *runner) apply(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.job.Timeout)
	defer cancel()
	defer func() { c.state.Ended = time.Now() }()
	out := &tailBuffer{max: maxOutput}
	defer func() { c.state.Output = out.String() }()
	for _, step := range []func(context.Context, *tailBuffer) error{c.install, c.copyFiles, c.runCommands} {
		err := step(ctx, out)
		if ctx.Err() != nil {
			err = fmt.Errorf("it took longer than %v and was killed", c.job.Timeout)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// check finds what is different, and whether that is what was asked for.
func (c *runner) compare(ctx context.Context, before observation) {
	after, err := c.observe(ctx)
	if err != nil {
		c.fail(err)
		return
	}
	c.state.Facts = compare.FactChanges(before.facts, after.facts, slices.Concat(before.unknowns, after.unknowns)...)
	if c.files, err = compare.FileChanges(before.scan, after.scan); err != nil {
		c.fail(err)
	}
	c.addUnknowns(before.scan.Summary().Unknowns, after.scan.Summary().Unknowns, before.unknowns, after.unknowns)
	c.files = knownChanges(c.files, c.state.Unknowns)
	if err := c.saveChanges(); err != nil {
		c.fail(describe("keep which files changed", err))
	}
	for _, p := range c.job.Packages {
		if why := mismatch(p, after.facts); why != "" {
			c.fail(errors.New(why))
		}
	}
}

// end waits until a change is confirmed, and reverts one that is not. One that
// left no trace in files may have cut off the network all the same.
func (c *runner) awaitConfirmation(ctx context.Context) error {
	done := Confirmed
	if !c.state.Changed() {
		done = Unchanged
	}
	if c.job.Confirm == 0 {
		return c.setStage(done)
	}
	if err := c.setStage(Unconfirmed); err != nil {
		return err
	}
	deadline := time.Now().Add(c.job.Confirm)
	for time.Now().Before(deadline) {
		if c.store.isConfirmed(c.job.ID) {
			return c.setStage(done)
		}
		if err := clock.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return c.revert(ctx, fmt.Sprintf("nobody confirmed it over a new connection within %v", c.job.Confirm))
}

// sentence says of an error what was being done, without the program's words.
func describe(doing string, err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}
