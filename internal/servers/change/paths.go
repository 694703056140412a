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

// errNotRestorable is returned for a path that scans leave out.
var errNotRestorable = errors.New("and could not be taken back")

// choosePaths sets the paths below which files are saved. Paths that the job names must
// all be restorable. A directory of alwaysSaved that is not is unknown instead of an
// error, because otherwise a server with a mounted /opt could not be updated.
func (r *runner) choosePaths(scan *facts.Scan) error {
	r.saved = nil
	for _, dir := range alwaysSaved {
		err := r.chooseDir(dir, scan)
		switch {
		case err != nil && !errors.Is(err, errNotRestorable):
			return fmt.Errorf("save %s: %w", dir, err)
		case err != nil:
			r.state.Unknowns = append(r.state.Unknowns, facts.Unknown{Path: dir, Reason: err.Error()})
		}
	}
	for _, dir := range r.job.Save {
		if err := r.chooseDir(dir, scan); err != nil {
			return fmt.Errorf("save %s: %w", dir, err)
		}
	}
	for _, f := range r.job.Copies {
		if err := r.chooseCopy(f.Path, scan); err != nil {
			return fmt.Errorf("save %s: %w", f.Path, err)
		}
	}
	for _, p := range loginPaths(r.root) {
		// One on another file system is not restored, and no reason to refuse a change.
		if r.checkScanned(p, scan) == nil {
			r.login = append(r.login, p)
		}
	}
	slices.SortFunc(r.saved, tree.ComparePaths)
	r.saved = slices.Compact(r.saved)
	for _, u := range scan.Summary().Unknowns {
		if isBelow(u.Path, r.saved) {
			return fmt.Errorf("save %w", unreadError(u))
		}
	}
	return nil
}

// unreadError returns the error for a path that could not be read. If it were saved,
// the copy could be half of a file; if it were not, an undo would remove the file as
// new.
func unreadError(u facts.Unknown) error {
	return fmt.Errorf("%s: %s: try again, or stop first what writes there", u.Path, u.Reason)
}

// chooseDir adds a directory and, if its path is a symbolic link, the link.
func (r *runner) chooseDir(dir string, scan *facts.Scan) error {
	link, err := r.canonical(dir)
	if err != nil {
		return err
	}
	target, _, err := r.root.Resolve(dir)
	if err != nil {
		return err
	}
	if target == "/" {
		return errors.New("the root directory is everything: name directories below it")
	}
	for _, p := range []string{link, target} {
		if err := r.checkScanned(p, scan); err != nil {
			return err
		}
	}
	r.saved = append(r.saved, link, target)
	return nil
}

// chooseCopy adds a file that will be replaced. Its directory has to be scanned, too:
// otherwise an undo could not see that the file is new.
func (r *runner) chooseCopy(file string, scan *facts.Scan) error {
	p, err := r.canonical(file)
	if err != nil {
		return err
	}
	for _, p := range []string{path.Dir(p), p} {
		if err := r.checkScanned(p, scan); err != nil {
			return err
		}
	}
	r.saved = append(r.saved, p)
	return nil
}

// canonical resolves the symbolic links of a path except for its last component. Scans
// list paths in that form, and files are written there.
func (r *runner) canonical(p string) (string, error) {
	dir, _, err := r.root.Resolve(path.Dir(p))
	return path.Join(dir, path.Base(p)), err
}

// checkScanned returns an error for a path that exists but was not scanned.
func (r *runner) checkScanned(p string, scan *facts.Scan) error {
	if p == "/" || scan.At(p) != "" {
		return nil
	}
	for _, u := range scan.Summary().Unknowns {
		if isBelow(p, []string{u.Path}) {
			return unreadError(u)
		}
	}
	if _, err := r.root.Lstat(p); errors.Is(err, fs.ErrNotExist) {
		return nil // new, so that an undo removes it
	} else if err != nil {
		return err
	}
	why := "lies on another file system than /"
	if class, is := facts.ExpectedAt(p); is {
		why = fmt.Sprintf("counts as %s, which is not read", class)
	}
	return fmt.Errorf("%s %s, %w: change it by a command, with another for the undo", p, why, errNotRestorable)
}
