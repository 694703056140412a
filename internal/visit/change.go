package visit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/adamant-sh/adamant/internal/change"
	"github.com/adamant-sh/adamant/internal/inventory"
	"github.com/adamant-sh/adamant/internal/remote"
)

// ErrCutOff says that a server was not reached again after a change was begun.
var ErrCutOff = errors.New("the server is not reached since the change was begun")

// slack is how much longer than it takes a server to revert a change somebody
// waits for it to be reached again.
const slack = 2 * time.Minute

// Change has a server carry out a job, and returns when it is over there. A
// change is confirmed over a new connection, so that one that cuts the server off
// is not; then it reverts itself, and that is waited for. see is told each state
// that is new.
//
// An error wraps ErrCutOff if it is not known what became of the change, else
// none was begun.
func Change(ctx context.Context, h inventory.Host, o Options, j change.Job, see func(change.State)) (change.State, error) {
	stdin, err := json.Marshal(j)
	if err != nil {
		return change.State{}, err
	}
	c := caller{host: h, options: o, see: see}
	if err := c.call(ctx, []string{"change", "begin"}, stdin); err != nil && !c.begun {
		return c.state, err
	}
	heard := time.Now()
	for !c.state.Over() {
		action := "follow"
		if c.state.Stage == change.Unconfirmed {
			action = "confirm"
		}
		err := c.call(ctx, []string{"change", action, j.ID}, nil)
		if ctx.Err() != nil {
			return c.state, fmt.Errorf("%w: %w", ErrCutOff, ctx.Err())
		}
		if err == nil {
			heard = time.Now()
			continue
		}
		if time.Since(heard) > j.Confirm+slack {
			return c.state, fmt.Errorf("%w: %w", ErrCutOff, err)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return c.state, nil
}

// Revert has a server take a change back.
func Revert(ctx context.Context, h inventory.Host, o Options, id, why string) (change.State, error) {
	c := caller{host: h, options: o}
	err := c.call(ctx, []string{"change", "revert", id, why}, nil)
	return c.state, err
}

// maxStates bounds what a server says in one conversation, in bytes.
const maxStates = 256 << 20

// A caller asks about one change, each time over a new connection.
type caller struct {
	host    inventory.Host
	options Options
	see     func(change.State)

	begun bool // the server knows of the change
	state change.State
}

// call runs the program, and reads the states that it prints.
func (c *caller) call(ctx context.Context, args []string, stdin []byte) error {
	conn, err := remote.Dial(ctx, c.host, c.options.Remote)
	if err != nil {
		return err
	}
	defer conn.Close()
	s, err := launch(ctx, conn, c.host, c.options.Programs, args)
	if err != nil {
		return err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = s.Stdin.Write(stdin) // the answer tells
		s.Stdin.Close()
	}()
	defer func() { <-sent }()
	states := json.NewDecoder(bufio.NewReader(io.LimitReader(s.Stdout, maxStates)))
	for {
		var st change.State
		if err := states.Decode(&st); err != nil {
			s.Stdin.Close()
			if why := whyNot(s, err); why != nil && !isEnd(why) {
				return why
			}
			return nil
		}
		c.begun = true
		if st.Stage != c.state.Stage && c.see != nil {
			c.see(st)
		}
		c.state = st
	}
}

// isEnd reports whether an error only says that there is no more to read.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
