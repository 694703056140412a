package change

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// errLeftOut says of a path that scans leave it out.
var errNotRestorable = errors.New("and could not be taken back")

// findSaved finds below which paths files are saved: what is always saved as far
// as it can be, and what the job names, of which all must be. The rest of what is
// always saved is unknown: nobody could update a server with a mounted /opt.
func (c *runner) choosePaths(scan *facts.Scan) error {
	c.saved = nil
	for _, dir := range alwaysSaved {
		err := c.chooseDir(dir, scan)
		switch {
		case err != nil && !errors.Is(err, errNotRestorable):
			return fmt.Errorf("save %s: %w", dir, err)
		case err != nil:
			c.state.Unknowns = append(c.state.Unknowns, facts.Unknown{Path: dir, Reason: err.Error()})
		}
	}
	for _, dir := range c.job.Save {
		if err := c.chooseDir(dir, scan); err != nil {
			return fmt.Errorf("save %s: %w", dir, err)
		}
	}
	for _, f := range c.job.Copies {
		if err := c.chooseCopy(f.Path, scan); err != nil {
			return fmt.Errorf("save %s: %w", f.Path, err)
		}
	}
	slices.SortFunc(c.saved, tree.ComparePaths)
	c.saved = slices.Compact(c.saved)
	for _, u := range scan.Summary().Unknowns {
		if isBelow(u.Path, c.saved) {
			return fmt.Errorf("save %w", unreadError(u))
		}
	}
	return nil
}

// unread says that nobody knows what was at a path: if it was saved, it could be
// half of it; if not, an undo would take it for new, and remove it.
func unreadError(u facts.Unknown) error {
	return fmt.Errorf("%s: %s: try again, or stop first what writes there", u.Path, u.Reason)
}

// saveDir has a directory saved and, if its path is a symbolic link, that too.
func (c *runner) chooseDir(dir string, scan *facts.Scan) error {
	link, err := c.canonical(dir)
	if err != nil {
		return err
	}
	target, _, err := c.root.Resolve(dir)
	if err != nil {
		return err
	}
	if target == "/" {
		return errors.New("it is everything: name the directories below it")
	}
	for _, p := range []string{link, target} {
		if err := c.checkScanned(p, scan); err != nil {
			return err
		}
	}
	c.saved = append(c.saved, link, target)
	return nil
}

// saveCopy has a file saved that is to be replaced. One that is not there yet
// would not be missed at the undo unless its directory was read.
func (c *runner) chooseCopy(file string, scan *facts.Scan) error {
	p, err := c.canonical(file)
	if err != nil {
		return err
	}
	for _, p := range []string{path.Dir(p), p} {
		if err := c.checkScanned(p, scan); err != nil {
			return err
		}
	}
	c.saved = append(c.saved, p)
	return nil
}

// canonical is a path without symbolic links but for its last component, as a
// scan has it and as files are written.
func (c *runner) canonical(p string) (string, error) {
	dir, _, err := c.root.Resolve(path.Dir(p))
	return path.Join(dir, path.Base(p)), err
}

// canSave refuses a path that is there but was not read.
func (c *runner) checkScanned(p string, scan *facts.Scan) error {
	if p == "/" || scan.At(p) != "" {
		return nil
	}
	for _, u := range scan.Summary().Unknowns {
		if isBelow(p, []string{u.Path}) {
			return unreadError(u)
		}
	}
	if _, err := c.root.Lstat(p); errors.Is(err, fs.ErrNotExist) {
		return nil // what will be there is removed
	} else if err != nil {
		return err
	}
	why := "lies on another file system than /"
	if class, is := facts.ExpectedAt(p); is {
		why = fmt.Sprintf("counts as %s, which is not read", class)
	}
	return fmt.Errorf("%s %s, %w: change it by a command, with another for the undo", p, why, errNotRestorable)
}
