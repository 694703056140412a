package change

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/reach"
)

// findTarget sets the state of the network, units and mounts that an undo restores. An
// automatic undo restores the whole state before the change, because any difference may
// prevent logins. An undo on demand keeps later changes: it takes back only the
// differences that were present right after the change.
func (r *runner) findTarget(ctx context.Context) error {
	m, err := r.loadFacts()
	if err != nil {
		return err
	}
	if m.Reach.Boot == "" {
		return errors.New("the network and units before the change are not known: an older version of this program saved them")
	}
	if r.unattended {
		r.target = &m.Reach
		return nil
	}
	text, err := os.ReadFile(r.store.find(r.job.ID, "after"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the change was interrupted, which the undo reports
	}
	var after reach.State
	if err == nil {
		err = json.Unmarshal(text, &after)
	}
	if err != nil {
		return describe("read the network and units after the change", err)
	}
	now, err := reach.Read(ctx, r.root)
	target := now.Without(m.Reach, after)
	r.target = &target
	return err
}

// saveAfter stores the state of the network, units and mounts after the change.
func (r *runner) saveAfter(ctx context.Context) error {
	state, err := reach.Read(ctx, r.root)
	if err != nil {
		return err
	}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return r.store.writeBytes(r.job.ID, "after", text)
}

// revertDisks restores mounts and device nodes, and frees the space that was reserved.
func (r *runner) revertDisks(ctx context.Context) error {
	r.store.releaseReserve(r.job.ID)
	if r.target == nil {
		return nil
	}
	return r.target.RestoreDisks(ctx, r.root)
}

func (r *runner) revertNetwork(ctx context.Context) error {
	if r.target == nil {
		return nil
	}
	return r.target.RestoreNetwork(ctx)
}

func (r *runner) revertUnits(ctx context.Context) error {
	if r.target == nil {
		return nil
	}
	return r.target.RestoreUnits(ctx)
}

// bootTimeout bounds the wait for the end of a boot.
const bootTimeout = 2 * time.Minute

// awaitBoot waits until a server that was restarted since the change began has started
// its units: until then, units that are not active are not missing.
func (r *runner) awaitBoot(ctx context.Context) error {
	if r.state.Boot == "" || r.state.Boot == reach.BootID() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	reach.AwaitBoot(ctx)
	return nil
}

// unrestoredState returns the differences of the network, units, mounts and the clock
// from the state that the undo restores.
func (r *runner) unrestoredState(ctx context.Context) []string {
	if r.target == nil {
		return nil
	}
	// Units that were just started or stopped change their state for a moment.
	var left []string
	for range 5 {
		now, err := reach.Read(ctx, r.root)
		if left = r.target.Difference(now); err != nil {
			left = append(left, err.Error())
		}
		if len(left) == 0 || ctx.Err() != nil {
			break
		}
		time.Sleep(300 * time.Millisecond)
	}
	return left
}

// revertAttributes restores mode and owner of files that were not saved, if the change
// has changed nothing else of them. Without the right ones, sshd and PAM refuse a login.
func (r *runner) revertAttributes(context.Context) error {
	var errs []error
	for _, f := range r.files {
		isAttribute := func(field string) bool { return field == tree.FieldMode || field == tree.FieldOwner }
		if f.Before == "" || f.After == "" || f.Before == fromSaved || len(f.Fields) == 0 || isBelow(f.Path, r.saved) ||
			slices.ContainsFunc(f.Fields, func(field string) bool { return !isAttribute(field) }) || r.editedSince.covers(f.Path) {
			continue
		}
		e, err := attributesOf(f.Before)
		if err == nil {
			err = r.root.SetAttributes(f.Path, e)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, describe("restore the mode and owner of "+f.Path, err))
		}
	}
	return joinErrors(errs)
}

// attributesOf returns the mode and owner in the identity of a node.
func attributesOf(identity string) (tree.Entry, error) {
	mode, owner, group, err := facts.Attributes(identity)
	if err != nil {
		return tree.Entry{}, err
	}
	uid, err := idOf(owner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return tree.Entry{}, err
	}
	gid, err := idOf(group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	return tree.Entry{Mode: mode, UID: uid, GID: gid}, err
}

// idOf returns the number of a user or group, which has a number instead of a name if
// the server does not know one.
func idOf(name string, lookup func(string) (string, error)) (uint32, error) {
	if id, err := lookup(name); err == nil {
		name = id
	}
	n, err := strconv.ParseUint(name, 10, 32)
	return uint32(n), err
}
