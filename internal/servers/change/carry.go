package change

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	server "github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxFiles bounds how many changed files are told one by one. To take a change
// back, all of them are kept.
const maxFiles = 5000

// A Carrier carries out one change.
type Carrier struct {
	store Store
	job   Job
	state State
	files []server.FileChange // all that changed
	lost  error               // why those are not all known
	since pathSet             // of those, what somebody changed again afterwards
	saved []string            // the paths, without symbolic links, below which files were saved
	root  *rootfs.Root
	cache string // of scans
}

// Carry carries out the change of an id, and returns when it is over: confirmed,
// or reverted. Only the process that Begin started calls it.
func (s Store) Carry(ctx context.Context, id, cache string) error {
	c := &Carrier{store: s, cache: cache}
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
	one, err := s.alone(ctx, id)
	if err != nil {
		return c.refuse(err)
	}
	defer one.Close()
	before, err := c.save(ctx)
	if err != nil {
		return c.refuse(err)
	}
	if err := c.enter(Changing); err != nil {
		return err
	}
	c.carry(ctx)
	if err := c.enter(Checking); err != nil {
		return err
	}
	c.check(ctx, before)
	return c.end(ctx)
}

// enter writes down that a stage begins.
func (c *Carrier) enter(stage Stage) error {
	c.state.Stage = stage
	return c.store.write(c.state)
}

// refuse ends a change before anything was changed.
func (c *Carrier) refuse(why error) error {
	c.fail(why)
	c.state.Ended = time.Now()
	return errors.Join(why, c.enter(Refused))
}

// fail keeps the first cause.
func (c *Carrier) fail(why error) {
	c.state.Failed = true
	if c.state.Cause == "" {
		c.state.Cause = why.Error()
	}
}

// A survey is a server at one time.
type survey struct {
	scan     *server.Scan
	facts    []server.Fact
	unknowns []server.Unknown // sections of facts
}

func (c *Carrier) survey(ctx context.Context) (survey, error) {
	o := server.ScanOptions{Own: true}
	if c.cache != "" {
		o.Cache = c.cache + "-own" // beside that of agents, which compare other files
	}
	scan, err := server.ScanRoot(ctx, c.root, o)
	if err != nil {
		return survey{}, fmt.Errorf("read the files: %w", err)
	}
	facts, unknowns := server.Facts(ctx, c.root, true)
	return survey{scan, facts, unknowns}, nil
}

// carry does what is to be done, until something fails.
func (c *Carrier) carry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.job.Timeout)
	defer cancel()
	defer func() { c.state.Ended = time.Now() }()
	out := &tail{most: maxOutput}
	defer func() { c.state.Output = out.String() }()
	for _, step := range []func(context.Context, *tail) error{c.install, c.copy, c.run} {
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

// copy writes files, whole, and like those that they replace.
func (c *Carrier) copy(ctx context.Context, _ *tail) error {
	for _, f := range c.job.Copies {
		e := tree.Entry{Path: f.Path, Kind: tree.Regular, Mode: f.Mode}
		if old, err := c.root.Lstat(f.Path); err == nil && old.Kind == tree.Regular {
			e.Mode, e.UID, e.GID, e.Xattrs = old.Mode, old.UID, old.GID, old.Xattrs
		}
		if err := c.root.Put(ctx, e, newReader(f.Content)); err != nil {
			return sentence("copy "+f.Path, err)
		}
	}
	return nil
}

// check finds what is different, and whether that is what was asked for.
func (c *Carrier) check(ctx context.Context, before survey) {
	after, err := c.survey(ctx)
	if err != nil {
		c.fail(err)
		return
	}
	c.state.Facts = server.FactChanges(before.facts, after.facts, slices.Concat(before.unknowns, after.unknowns)...)
	if c.files, err = server.FileChanges(before.scan, after.scan); err != nil {
		c.fail(err)
	}
	c.addUnknowns(before.scan.Summary().Unknowns, after.scan.Summary().Unknowns, before.unknowns, after.unknowns)
	c.files = knownChanges(c.files, c.state.Unknowns)
	if err := c.keepFiles(); err != nil {
		c.fail(sentence("keep which files changed", err))
	}
	for _, p := range c.job.Packages {
		if why := wrong(p, after.facts); why != "" {
			c.fail(errors.New(why))
		}
	}
}

// end waits until a change is confirmed, and reverts one that is not. One that
// left no trace in files may have cut off the network all the same.
func (c *Carrier) end(ctx context.Context) error {
	done := Confirmed
	if !c.state.Changed() {
		done = Unchanged
	}
	if c.job.Confirm == 0 {
		return c.enter(done)
	}
	if err := c.enter(Unconfirmed); err != nil {
		return err
	}
	deadline := time.Now().Add(c.job.Confirm)
	for time.Now().Before(deadline) {
		if c.store.isConfirmed(c.job.ID) {
			return c.enter(done)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.revert(ctx, fmt.Sprintf("nobody confirmed it over a new connection within %v", c.job.Confirm))
}

// sentence says of an error what was being done, without the program's words.
func sentence(doing string, err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}
