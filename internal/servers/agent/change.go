package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/servers/change"
)

// maxJob bounds a job, in bytes.
const maxJob = 256 << 20

func newChangeCommand(a streams) *cobra.Command {
	var cache string
	cmd := &cobra.Command{
		Use:   "change begin|carry|follow|confirm|state|revert|list [ID] [WHY]",
		Short: "Carry out a change of this server; what updates run on it",
		Long: `Change carries out what an update on another machine asks for, so that it can be
taken back: begin reads a job as JSON and starts a process of its own, follow
tells how far it is, and confirm lets it stay. What it knows is below
` + change.Dir + `.`,
		Example: `  adamant servers change list
  adamant servers change revert 20261125-101500-ab12cd-web-1 'it was wrong'`,
		Args: cobra.RangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := changer{a, change.NewStore(change.Dir), cache}
			id, why := "", "on demand"
			if len(args) > 1 {
				id = args[1]
			}
			if len(args) > 2 {
				why = args[2]
			}
			return c.do(cmd.Context(), args[0], id, why)
		},
	}
	cmd.Flags().StringVar(&cache, "cache", "", "a file that keeps what was read until the next time")
	return cmd
}

type changer struct {
	a     streams
	store change.Store
	cache string
}

func (c changer) do(ctx context.Context, action, id, why string) error {
	switch action {
	case "begin":
		return c.begin(ctx)
	case "carry":
		change.CloseLockOnExec()
		return c.store.Run(context.WithoutCancel(ctx), id, c.cache) // whoever began it may be gone
	case "confirm":
		if err := c.store.Confirm(id); err != nil {
			return err
		}
		return c.follow(ctx, id, change.State.Finished)
	case "follow":
		return c.follow(ctx, id, isDone)
	case "revert":
		// This must not end with the connection, because it would leave half of it.
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
	text, err := io.ReadAll(io.LimitReader(c.a.in, maxJob))
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
	if err := c.store.Start(j, self, "servers", "change", "--cache", c.cache, "carry"); err != nil {
		return err
	}
	return c.follow(ctx, j.ID, isDone)
}

// isDone reports whether a change waits for nothing but to be confirmed.
func isDone(st change.State) bool { return st.Finished() || st.Stage == change.Unconfirmed }

// follow prints the states of a change until one is enough. What changed is told
// with the last.
func (c changer) follow(ctx context.Context, id string, enough func(change.State) bool) error {
	var last change.Stage
	for {
		st, err := c.store.State(id)
		if err != nil {
			return err
		}
		if st.Stage != last {
			told := st
			if !st.Finished() {
				told = st.Brief()
			}
			if err := c.print(told); err != nil {
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

func (c changer) print(st change.State) error { return json.NewEncoder(c.a.out).Encode(st) }
