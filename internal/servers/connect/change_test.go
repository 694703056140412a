package connect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/boundedjson"
	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
)

// TestFollow follows changes by scripted conversations, with a patience of a minute.
func TestFollow(t *testing.T) {
	lost := fmt.Errorf("%w: reset", ssh.ErrLost)
	type conversation struct {
		takes time.Duration
		told  change.Stage // empty if the server reports none
		err   error
	}
	repeat := func(n int, c conversation) (list []conversation) {
		for range n {
			list = append(list, c)
		}
		return list
	}
	for name, test := range map[string]struct {
		heard []conversation
		want  error
	}{
		"over at once":           {[]conversation{{0, change.Confirmed, nil}}, nil},
		"lost after long":        {[]conversation{{time.Hour, change.Changing, lost}, {0, change.Unconfirmed, nil}, {0, change.Confirmed, nil}}, nil},
		"lost again and again":   {append(repeat(100, conversation{10 * time.Second, change.Changing, lost}), conversation{0, change.Reverted, nil}), nil},
		"not reached for long":   {append(repeat(5, conversation{10 * time.Second, "", ssh.ErrUnreachable}), conversation{0, change.Confirmed, nil}), nil},
		"never reached again":    {repeat(100, conversation{10 * time.Second, "", ssh.ErrUnreachable}), ssh.ErrUnreachable},
		"the same, without end":  {repeat(3, conversation{0, change.Changing, nil}), errAnswer},
		"nothing, without end":   {repeat(3, conversation{0, "", nil}), errAnswer},
		"nonsense":               {[]conversation{{0, change.Changing, fmt.Errorf("%w: x", errAnswer)}, {0, change.Confirmed, nil}}, errAnswer},
		"longer than its limits": {repeat(100, conversation{24 * time.Hour, change.Changing, lost}), errLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), 48*time.Hour, errLimit)
				defer cancel()
				c := changeClient{}
				st, err := c.follow(ctx, time.Minute, change.State.Finished, func() error {
					next := test.heard[0]
					test.heard = test.heard[1:]
					time.Sleep(next.takes)
					if next.told != "" {
						c.state.Stage = next.told
						c.states++
					}
					return next.err
				})
				if !errors.Is(err, test.want) || (test.want != nil) != errors.Is(err, ErrCutOff) || err == nil && !st.Finished() {
					t.Errorf("got %q and %v, want %v", st.Stage, err, test.want)
				}
			})
		})
	}
}

var errLimit = errors.New("too long")

func TestStates(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		stage change.Stage
		want  error
	}{
		"one":        {`{"stage":"saving"}` + "\n", change.Saving, nil},
		"none":       {"", "", io.EOF},
		"half":       {`{"stage":"sav`, "", io.ErrUnexpectedEOF},
		"no line":    {`{"stage":"saving"}`, "", io.ErrUnexpectedEOF},
		"no state":   {"\x1b[2J\n", "", errAnswer},
		"large":      {strings.Repeat(" ", boundedjson.MaxSize+1) + "\n", "", errAnswer},
		"too large":  {strings.Repeat(" ", boundedjson.MaxSize+1<<20), "", errAnswer},
		"many files": {`{"files":[` + strings.Repeat("{},", 1<<20) + "{}]}\n", "", errAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := readState(bufio.NewReader(strings.NewReader(test.text)))
			if st.Stage != test.stage || !errors.Is(err, test.want) {
				t.Errorf("got %q and %v, want %q and %v", st.Stage, err, test.stage, test.want)
			}
		})
	}
}
