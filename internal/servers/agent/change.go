package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/servers/change"
)

// maxJob bounds a job, in bytes.
const maxJob = 256 << 20

// ChangeDir is the directory of all changes on a server.
const ChangeDir = change.Dir

// A ChangeRequest is one step of a change of this server.
type ChangeRequest struct {
	Action string // begin, carry, guard, recover, follow, confirm, state, revert or list
	ID     string // of the change; begin reads it with the job, list and recover have none
	Why    string // for the record of revert
	Cache  string // file for the results of the next scan, or empty
}

// Change carries out one step of a change and writes the change's states to out, as
// a JSON document on each line. Only begin reads from in: the job.
func Change(ctx context.Context, r ChangeRequest, in io.Reader, out io.Writer) error {
	c := changer{in, out, change.NewStore(ChangeDir), r.Cache}
	return c.do(ctx, r.Action, r.ID, r.Why)
}

type changer struct {
	in    io.Reader
	out   io.Writer
	store change.Store
	cache string
}

func (c changer) do(ctx context.Context, action, id, why string) error {
	switch action {
	case "begin":
		return c.begin(ctx)
	case "carry":
		change.ExitOnShutdown()
		// The connection that began the change may end before the change does.
		return c.store.Run(context.WithoutCancel(ctx), id, c.cache)
	case "guard":
		return c.store.Guard(context.WithoutCancel(ctx), id, c.cache)
	case "recover":
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		return c.store.Recover(self, "servers", "change", "--cache", c.cache)
	case "confirm":
		if err := c.store.Confirm(id); err != nil {
			return err
		}
		return c.follow(ctx, id, func(st change.State) bool { return st.Finished() || st.Stage == change.Verifying })
	case "follow":
		// A request that comes over a new connection is a login.
		seen, err := c.store.Seen(id)
		if errors.Is(err, change.ErrNotFound) {
			return c.print(change.State{ID: id}) // without a stage
		}
		if err != nil {
			return err
		}
		return c.follow(ctx, id, func(st change.State) bool { return isDone(st) || st.Stage == change.Verifying && !seen })
	case "revert":
		// A revert that ended with the connection would leave the server half changed.
		if _, err := c.store.Revert(context.WithoutCancel(ctx), id, c.cache, why); err != nil {
			return err
		}
		fallthrough
	case "state":
		return c.follow(ctx, id, func(change.State) bool { return true })
	case "list":
		states, err := c.store.List()
		for _, st := range states {
			if err := c.print(st); err != nil {
				return err
			}
		}
		return err
	}
	return fmt.Errorf("%q is no action", action)
}

func (c changer) begin(ctx context.Context) error {
	text, err := io.ReadAll(io.LimitReader(c.in, maxJob))
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	var j change.Job
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := c.store.Start(j, change.CurrentVisit(), self, "servers", "change", "--cache", c.cache); err != nil {
		return err
	}
	return c.follow(ctx, j.ID, isDone)
}

// isDone reports whether a change is finished or only waits for its confirmation.
func isDone(st change.State) bool { return st.Finished() || st.Stage == change.Unconfirmed }

// follow prints each stage of a change until enough returns true. Only the last state
// has the lists of changes, see State.Brief.
func (c changer) follow(ctx context.Context, id string, enough func(change.State) bool) error {
	var last change.Stage
	for {
		st, err := c.store.State(id)
		if err != nil {
			return err
		}
		if st.Stage != last {
			shown := st
			if !st.Finished() {
				shown = st.Brief()
			}
			if err := c.print(shown); err != nil {
				return err
			}
			last = st.Stage
		}
		if enough(st) {
			return nil
		}
		if err := clock.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c changer) print(st change.State) error { return json.NewEncoder(c.out).Encode(st) }
