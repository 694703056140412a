package connect

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/servers/boundedjson"
	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
)

// ErrCutOff is returned when a server cannot be reached again after a change began.
var ErrCutOff = errors.New("the server is not reached since the change was begun")

// errAnswer is returned when the output of a server is not that of this program.
var errAnswer = errors.New("the server does not answer as it should")

// revertSlack is how long to wait for a server beyond the time after which it
// reverts an unconfirmed change, because reverting takes time, too.
const revertSlack = 2 * time.Minute

// Change makes a server carry out a job, and returns when the change has finished. It
// confirms the change over a new connection. If the change has cut the server off,
// that fails, the change reverts itself, and Change waits for the result. see is
// called with each new state.
//
// An error wraps ErrCutOff if the result is not known. After any other error no change
// has begun.
func Change(ctx context.Context, h inventory.Host, o Options, j change.Job, see func(change.State)) (change.State, error) {
	stdin, err := json.Marshal(j)
	if err != nil {
		return change.State{}, err
	}
	// The server is read before and after the change, and the change may be reverted.
	ctx, cancel := o.limit(ctx, j.Timeout+j.Confirm+maxRevert+2*o.patience())
	defer cancel()
	c := changeClient{host: h, options: o, onState: see}
	begin := func() error { return c.call(ctx, []string{"change", "begin"}, stdin) }
	if err := begin(); err != nil && !c.begun && !c.isOpen(err) {
		return c.state, err
	}
	c.state.ID = j.ID
	return c.follow(ctx, j.Confirm+changeSlack(j), change.State.Finished, func() error {
		switch {
		case !c.begun:
			return begin() // the request may have been lost; the server starts a job only once
		case c.state.Stage == change.Unconfirmed:
			return c.call(ctx, []string{"change", "confirm", j.ID}, nil)
		}
		return c.call(ctx, []string{"change", "follow", j.ID}, nil)
	})
}

// changeSlack is revertSlack with the time in which a server that cannot be reached
// restarts itself, if it may.
func changeSlack(j change.Job) time.Duration {
	if j.ConfirmReboot {
		return revertSlack + 10*time.Minute
	}
	return revertSlack
}

// Follow returns the end of a change that was begun earlier, and waits for it. It confirms
// a change that waits for that. A state without a stage means that the server does not
// have the change.
func Follow(ctx context.Context, h inventory.Host, o Options, id string) (change.State, error) {
	ctx, cancel := o.limit(ctx, maxRevert+2*o.patience())
	defer cancel()
	c := changeClient{host: h, options: o}
	ask := func() error {
		if c.state.Stage == change.Unconfirmed {
			return c.call(ctx, []string{"change", "confirm", id}, nil)
		}
		return c.call(ctx, []string{"change", "follow", id}, nil)
	}
	if err := ask(); err != nil || c.state.Stage == "" {
		return c.state, err
	}
	return c.follow(ctx, revertSlack, change.State.Finished, ask)
}

// Revert makes a server take a change back, and returns when that has finished.
func Revert(ctx context.Context, h inventory.Host, o Options, id, why string) (change.State, error) {
	ctx, cancel := o.limit(ctx, maxRevert+2*o.patience())
	defer cancel()
	c := changeClient{host: h, options: o}
	revert := func() error { return c.call(ctx, []string{"change", "revert", id, why}, nil) }
	err := revert()
	if err == nil && !isBack(c.state) {
		err = errAnswer
	}
	if err == nil || !c.isOpen(err) {
		return c.state, err
	}
	return c.follow(ctx, revertSlack, isBack, func() error {
		err := c.call(ctx, []string{"change", "follow", id}, nil)
		if err == nil && c.state.Finished() && !isBack(c.state) {
			return revert() // the request to revert was lost
		}
		return err
	})
}

// isBack reports whether a change was taken back, or was never made.
func isBack(st change.State) bool {
	return st.Finished() && (st.Undo != nil || st.Stage == change.Refused)
}

// maxRevert bounds the time to take a change back, without the time to read the
// server.
const maxRevert = time.Hour

// retryInterval is the time between attempts to reach a server that was lost.
const retryInterval = 500 * time.Millisecond

// follow calls ask until a change is over, or until the server has not answered for
// longer than patience.
func (c *changeClient) follow(ctx context.Context, patience time.Duration, isOver func(change.State) bool, ask func() error) (change.State, error) {
	for heard := time.Now(); !isOver(c.state); {
		stage, told := c.state.Stage, c.states
		err := ask()
		if c.states > told {
			heard = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return c.state, fmt.Errorf("%w: %w", ErrCutOff, context.Cause(ctx))
		// A program that ends well without a new stage would do so again, forever.
		case errors.Is(err, errAnswer) || err == nil && c.state.Stage == stage:
			return c.state, fmt.Errorf("%w: %w", ErrCutOff, cmp.Or(err, errAnswer))
		case err == nil:
			continue
		case time.Since(heard) > patience:
			return c.state, fmt.Errorf("%w: %w", ErrCutOff, err)
		}
		clock.Sleep(ctx, retryInterval)
	}
	return c.state, nil
}

// maxStates bounds the states in one answer: an honest server reports each stage
// once.
const maxStates = 20

// A changeClient sends requests about one change, each over a new connection.
type changeClient struct {
	host    inventory.Host
	options Options
	onState func(change.State)

	asked  bool // the server may have received the change
	begun  bool // the server reported a state of the change
	states int  // how many states were received
	state  change.State
}

// isOpen reports whether the server may have received the request before an error.
func (c *changeClient) isOpen(err error) bool { return c.asked && errors.Is(err, ssh.ErrLost) }

// call runs the program, and reads the states that it prints.
func (c *changeClient) call(ctx context.Context, args []string, stdin []byte) error {
	conn, err := ssh.Dial(ctx, c.host, c.options.Remote)
	if err != nil {
		return err
	}
	defer conn.Close()
	s, err := launch(ctx, conn, c.host, c.options.Programs, args)
	if err != nil {
		return err
	}
	c.asked = true
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = s.Stdin.Write(stdin) // if this fails, so does the answer
		s.Stdin.Close()
	}()
	defer func() {
		s.Stdin.Close()
		conn.Close() // ends a write that the server does not read
		<-sent
	}()
	r := bufio.NewReader(s.Stdout)
	for range maxStates {
		st, err := readState(r)
		if err != nil {
			if why := exitReason(s, err); why != io.EOF { // a lost connection may wrap it
				return why
			}
			return nil
		}
		if st.Stage != c.state.Stage && c.onState != nil {
			c.onState(st)
		}
		c.begun, c.state = true, st
		c.states++
	}
	return fmt.Errorf("%w: it tells of more than %d stages", errAnswer, maxStates)
}

// readState reads a line with a state. At the end it returns io.EOF.
func readState(r *bufio.Reader) (change.State, error) {
	var st change.State
	text, err := readLine(r)
	if err == nil {
		if err = boundedjson.Unmarshal(text, &st); err != nil {
			err = fmt.Errorf("%w: %w", errAnswer, err)
		}
	}
	st.Cause = bounded(st.Cause)
	if st.Undo != nil {
		st.Undo.Why, st.Undo.Cause = bounded(st.Undo.Why), bounded(st.Undo.Cause)
	}
	return st, err
}

// maxCause bounds the texts of causes, in bytes.
const maxCause = 4 << 10

func bounded(sentence string) string {
	if len(sentence) > maxCause {
		return sentence[:maxCause] + "..."
	}
	return sentence
}

// readLine reads a line of at most boundedjson.MaxSize bytes.
func readLine(r *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := r.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case err == nil:
			return text, nil
		case errors.Is(err, bufio.ErrBufferFull) && len(text) <= boundedjson.MaxSize:
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("%w: a line has more than %d bytes", errAnswer, boundedjson.MaxSize)
		case errors.Is(err, io.EOF) && len(text) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
