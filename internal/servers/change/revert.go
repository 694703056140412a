package change

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxLeft bounds how much of what could not be taken back is told.
const maxUnrestored = 100

// Revert takes back a change that is over or was interrupted, on somebody's
// demand.
func (s Store) Revert(ctx context.Context, id, cache, why string) (State, error) {
	c := &runner{store: s, cache: cache}
	var err error
	if c.state, err = s.State(id); err != nil {
		return State{}, err
	}
	if !c.state.Finished() {
		return c.state, fmt.Errorf("change %s is %s: it is not over", id, c.state.Stage)
	}
	if c.state.Stage == Reverted || c.state.Stage == Refused {
		return c.state, nil
	}
	if c.job, err = s.job(id); err != nil {
		return c.state, err
	}
	if c.root, err = rootfs.Open("/"); err != nil {
		return c.state, err
	}
	defer c.root.Close()
	one, err := s.lockServer(ctx, id)
	if err != nil {
		return c.state, err
	}
	defer one.Close()
	mine, err := lockWhile(ctx, s.path(id, "lock"), func() bool { return true })
	if err != nil {
		return c.state, err
	}
	defer mine.Close()
	if err := c.loadChanges(ctx); err != nil {
		return c.state, err
	}
	if err := c.findEditedSince(ctx); err != nil {
		return c.state, err
	}
	err = c.revert(ctx, why)
	return c.state, err
}

// findSince finds what is neither what the change left nor what it was before:
// somebody changed it since, and an undo would throw that away.
func (c *runner) findEditedSince(ctx context.Context) error {
	now, err := c.observe(ctx)
	if err != nil {
		return err
	}
	c.editedSince = pathSet{}
	for _, f := range c.files {
		if at := now.scan.At(f.Path); f.Before != fromSaved && at != f.After && at != f.Before {
			c.editedSince[f.Path] = true
		}
	}
	return nil
}

// revert takes a change back: packages first, for they bring files.
func (c *runner) revert(ctx context.Context, why string) error {
	u := &Undo{Why: why, At: time.Now()}
	c.state.Undo = u
	if err := c.setStage(Reverting); err != nil {
		return err
	}
	// The network comes first: packages may have to be fetched. It comes last, too:
	// they may have touched it.
	for _, step := range []func(context.Context) error{
		c.revertNetwork, c.revertPackages, c.revertFiles, c.reload, c.revertNetwork, c.undoRun, c.findUnrestored,
	} {
		if err := step(ctx); err != nil && u.Cause == "" {
			u.Cause = err.Error()
		}
	}
	if c.incomplete != nil && u.Cause == "" {
		u.Cause = c.incomplete.Error()
	}
	return c.setStage(Reverted)
}

// revertPackages gives packages the versions that they had.
func (c *runner) revertPackages(ctx context.Context) error {
	var had, remove []string
	for _, f := range c.state.Facts {
		before := strings.TrimSuffix(f.Before, " (held)")
		switch {
		case f.Section != facts.Package || before == strings.TrimSuffix(f.After, " (held)"):
		case before == "":
			remove = append(remove, f.Key+"-")
		case strings.Contains(before, " "):
			return fmt.Errorf("%s was %s before", f.Key, f.Before)
		default:
			had = append(had, f.Key+"="+before)
		}
	}
	if len(had)+len(remove) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(c.job.Timeout, 5*time.Minute))
	defer cancel()
	out := &tailBuffer{max: maxOutput}
	args := append(slices.Clone(aptGet), "--allow-downgrades", "--allow-change-held-packages", "install", "--")
	if err := runProgram(ctx, out, "apt-get", append(append(args, had...), remove...)...); err != nil {
		return commandError(out.String(), err, "apt-get")
	}
	c.state.Undo.Packages = append(had, remove...)
	return nil
}

// revertFiles gives files that were saved what they had, and removes those that
// were not there. What was changed since stays.
func (c *runner) revertFiles(ctx context.Context) error {
	wanted := map[string]bool{}
	var errs []error
	for _, f := range slices.Backward(c.files) {
		if !isBelow(f.Path, c.saved) || c.editedSince.covers(f.Path) {
			continue
		}
		if f.Before == "" || slices.Contains(f.Fields, tree.FieldType) {
			err := c.root.Remove(f.Path)
			if errors.Is(err, unix.ENOTEMPTY) && f.Before == "" {
				continue // what is in it is not the change's, and both are told as left
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		if f.Before != "" {
			wanted[f.Path] = true
		}
	}
	archive, err := os.Open(c.store.path(c.job.ID, "saved.tar"))
	if err != nil {
		return joinErrors(append(errs, describe("read what was saved", err)))
	}
	defer archive.Close()
	r, w := io.Pipe()
	picked := make(chan int, 1)
	go func() {
		n, err := filterTar(archive, w, wanted)
		w.CloseWithError(err)
		picked <- n
	}()
	if err := c.root.Extract(ctx, r, "/", rootfs.ExtractOptions{Devices: true}); err != nil {
		errs = append(errs, err)
	}
	r.Close()
	c.state.Undo.Restored = <-picked
	return joinErrors(errs)
}

// several is the first of errors, and how many more there are.
func joinErrors(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w; and %d more", errs[0], len(errs)-1)
}

// pick copies from an archive what is wanted, and counts it.
func filterTar(from io.Reader, to io.Writer, wanted map[string]bool) (n int, err error) {
	in, out := tar.NewReader(from), tar.NewWriter(to)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return n, out.Close()
		}
		if err != nil {
			return n, err
		}
		if !wanted[path.Clean("/"+h.Name)] {
			continue
		}
		if err := out.WriteHeader(h); err != nil {
			return n, err
		}
		if _, err := io.Copy(out, in); err != nil {
			return n, err
		}
		n++
	}
}

// findLeft finds what is still not as it was.
func (c *runner) findUnrestored(ctx context.Context) error {
	now, err := c.observe(ctx)
	if err != nil {
		return err
	}
	has := map[string]string{}
	for _, f := range now.facts {
		has[string(f.Section)+" "+f.Key] = f.Value
	}
	left := []string{}
	for _, f := range c.state.Facts {
		key := string(f.Section) + " " + f.Key
		if has[key] != f.Before && !(f.Section == facts.Package && strings.TrimSuffix(f.Before, " (held)") == has[key]) {
			left = append(left, key)
		}
	}
	unknown := unknownPaths(now.scan.Summary().Unknowns)
	for _, f := range c.files {
		if isBelow(f.Path, c.saved) && c.editedSince[f.Path] {
			left = append(left, f.Path+" (changed since)")
			continue
		}
		if !f.Derived && f.Before != fromSaved && (now.scan.At(f.Path) != f.Before || unknown.covers(f.Path)) {
			left = append(left, f.Path)
		}
	}
	left = append(left, c.unknownUnrestored()...)
	c.state.Undo.LeftCount, c.state.Undo.Left = len(left), left[:min(len(left), maxUnrestored)]
	return nil
}
