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
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxUnrestored bounds the list of paths and facts that an undo did not restore.
const maxUnrestored = 100

// Revert takes back a change that has finished or was interrupted, on demand. Files
// that were edited after the change are left alone.
func (s Store) Revert(ctx context.Context, id, cache, why string) (State, error) {
	r := &runner{store: s, cache: cache}
	var err error
	if r.state, err = s.State(id); err != nil {
		return State{}, err
	}
	if !r.state.Finished() {
		return r.state, fmt.Errorf("change %s is %s and has not finished", id, r.state.Stage)
	}
	if r.state.Stage == Reverted || r.state.Stage == Refused {
		return r.state, nil
	}
	if r.job, err = s.job(id); err != nil {
		return r.state, err
	}
	if r.root, err = rootfs.Open("/"); err != nil {
		return r.state, err
	}
	defer r.root.Close()
	serverLock, err := s.lockServer(ctx, id)
	if err != nil {
		return r.state, err
	}
	defer durable.Unlock(serverLock)
	// The process of the change writes its last state before it exits. State takes a
	// change whose lock is free for interrupted, so this process needs the lock, too.
	changeLock, err := lockWhile(ctx, s.path(id, "lock"), func() bool { return true })
	if err != nil {
		return r.state, err
	}
	defer durable.Unlock(changeLock)
	if err := r.loadChanges(ctx); err != nil {
		return r.state, err
	}
	if err := r.findEditedSince(ctx); err != nil {
		return r.state, err
	}
	err = r.revert(ctx, why)
	return r.state, err
}

// findEditedSince finds files that are neither as the change left them nor as they
// were before it. A person has edited them since, and an undo would destroy that.
func (r *runner) findEditedSince(ctx context.Context) error {
	now, err := r.observe(ctx)
	if err != nil {
		return err
	}
	r.editedSince = pathSet{}
	for _, f := range r.files {
		// The state after an interrupted change is not known, so later edits
		// cannot be told from the change.
		if at := now.scan.At(f.Path); f.Before != fromSaved && at != f.After && at != f.Before {
			r.editedSince[f.Path] = true
		}
	}
	return nil
}

// revert takes a change back. Every step is tried even if one before it failed,
// because a server that is partly restored is easier to reach and to repair. The
// first error is the cause that is reported; remaining differences are found at the
// end by comparing, not by trusting the steps.
//
// Packages come before files, because installing them writes files. The network comes
// first, because packages may have to be downloaded, and once more after files, packages
// and units, because all of them may have changed it.
func (r *runner) revert(ctx context.Context, why string) error {
	r.beginUndo(why)
	r.revertAll(ctx)
	r.tryEach(ctx, r.findUnrestored)
	return r.endUndo()
}

func (r *runner) revertAll(ctx context.Context) {
	r.tryEach(ctx, r.findTarget, r.revertDisks, r.revertNetwork, r.revertPackages, r.revertFiles, r.revertAttributes, r.awaitBoot, r.revertUnits,
		r.revertNetwork, r.undoRun)
}

func (r *runner) beginUndo(why string) {
	r.state.Undo = &Undo{Why: why, At: time.Now()}
	r.keepStage(Reverting)
}

// tryEach carries out all steps. The first error is the cause that is reported.
func (r *runner) tryEach(ctx context.Context, steps ...func(context.Context) error) {
	for _, step := range steps {
		if err := step(ctx); err != nil && r.state.Undo.Cause == "" {
			r.state.Undo.Cause = err.Error()
		}
	}
}

func (r *runner) endUndo() error {
	if u := r.state.Undo; r.incomplete != nil && u.Cause == "" {
		u.Cause = r.incomplete.Error()
	}
	return r.finish(Reverted)
}

// revertPackages brings packages back to their versions and removes new ones.
func (r *runner) revertPackages(ctx context.Context) error {
	t := transaction{changeHeld: true}
	for _, f := range r.state.Facts {
		if f.Section != facts.Package {
			continue
		}
		before, after := facts.ParsePackages(f.Key, f.Before), facts.ParsePackages(f.Key, f.After)
		switch {
		case slices.EqualFunc(before, after, func(a, b facts.InstalledPackage) bool { return a.Released() == b.Released() }):
			// Only the hold changed.
		case len(before) == 0:
			t.remove = append(t.remove, f.Key)
		case len(before) > 1 || !before[0].IsInstalled():
			// No package manager can leave a package half installed on purpose.
			return fmt.Errorf("%s was %s before", f.Key, f.Before)
		default:
			t.install = append(t.install, PackageSpec{f.Key, before[0].Version})
		}
	}
	if len(t.install)+len(t.remove) == 0 {
		return nil
	}
	m, err := findPackageManager(r.root)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, max(r.job.Timeout, 5*time.Minute))
	defer cancel()
	out := &tailBuffer{max: maxOutput}
	if err := m.install(ctx, t, out); err != nil {
		return withCause(err, out.String())
	}
	for _, p := range t.install {
		r.state.Undo.Packages = append(r.state.Undo.Packages, p.String())
	}
	for _, name := range t.remove {
		r.state.Undo.Packages = append(r.state.Undo.Packages, name+"-")
	}
	return nil
}

// mayRestore reports whether an undo restores a file. A login's programs belong to
// packages, which an undo on demand brings back whole or not at all.
func (r *runner) mayRestore(p string) bool {
	return isBelow(p, r.saved) || r.unattended && isBelow(p, r.login)
}

// revertFiles restores the files that were saved and removes new ones. It goes through
// the changes backwards, so that a new directory is empty when it is removed.
func (r *runner) revertFiles(ctx context.Context) error {
	wanted := map[string]bool{}
	var errs []error
	for _, f := range slices.Backward(r.files) {
		if !r.mayRestore(f.Path) || r.editedSince.covers(f.Path) {
			continue
		}
		// A directory cannot be replaced by a file, nor a file by a directory, so a
		// path whose type changed is removed first.
		if f.Before == "" || slices.Contains(f.Fields, tree.FieldType) {
			err := r.root.Remove(f.Path)
			if errors.Is(err, unix.ENOTEMPTY) && f.Before == "" {
				continue // others created files in it, and findUnrestored reports it
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		if f.Before != "" {
			wanted[f.Path] = true
		}
	}
	archive, err := os.Open(r.store.find(r.job.ID, "saved.tar"))
	if err != nil {
		return joinErrors(append(errs, describe("read the saved files", err)))
	}
	defer archive.Close()
	reader, writer := io.Pipe()
	restored := make(chan int, 1)
	go func() {
		n, err := filterTar(archive, writer, wanted)
		writer.CloseWithError(err)
		restored <- n
	}()
	// Only changed files are extracted, so that all others keep their inodes.
	if err := r.root.Extract(ctx, reader, "/", rootfs.ExtractOptions{Devices: true}); err != nil {
		errs = append(errs, err)
	}
	reader.Close() // if Extract failed, filterTar must not block on writing
	r.state.Undo.Restored = <-restored
	return joinErrors(errs)
}

// joinErrors returns the first error and the number of the others: the cause of an
// undo is shown in one line.
func joinErrors(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w; and %d more", errs[0], len(errs)-1)
}

// filterTar copies the wanted entries of an archive and counts them.
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

// findUnrestored finds the facts and files that still differ from before the change.
func (r *runner) findUnrestored(ctx context.Context) error {
	now, err := r.observe(ctx)
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, f := range now.facts {
		values[f.Name()] = f.Value
	}
	left := []string{}
	for _, f := range r.state.Facts {
		if !isRestored(f, values[f.Name()]) {
			left = append(left, f.Name())
		}
	}
	unknown := unknownPaths(now.scan.Summary().Unknowns)
	for _, f := range r.files {
		if isBelow(f.Path, r.saved) && r.editedSince[f.Path] {
			left = append(left, f.Path+" (changed since)")
			continue
		}
		// Programs generate derived files again, so a difference does no harm.
		if !f.Derived && f.Before != fromSaved && (now.scan.At(f.Path) != f.Before || unknown.covers(f.Path)) {
			left = append(left, f.Path)
		}
	}
	left = append(left, r.unknownUnrestored()...)
	left = append(left, r.unrestoredState(ctx)...)
	r.state.Undo.LeftCount, r.state.Undo.Left = len(left), left[:min(len(left), maxUnrestored)]
	return nil
}

// isRestored reports whether a fact has the value that it had before the change. A
// package may have lost its hold, because an undo has to override the hold to install
// the version.
func isRestored(f compare.FactChange, now string) bool {
	if f.Section != facts.Package || now == f.Before {
		return now == f.Before
	}
	released := facts.ParsePackages(f.Key, f.Before)
	for i := range released {
		released[i] = released[i].Released()
	}
	return slices.Equal(facts.ParsePackages(f.Key, now), released)
}
