package ssh_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	remote "github.com/adamant-sh/adamant/internal/servers/ssh"
)

// A script is the behavior of a hostile server for a command; exec is the request.
type script func(channel ssh.Channel, exec *ssh.Request, requests <-chan *ssh.Request, line string)

// serve lets everybody in and runs the script for each command.
func serve(t *testing.T, run script) inventory.Host {
	t.Helper()
	key := newSigner(t)
	return listen(t, key, func(c net.Conn) {
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(key)
		conn, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		var all sync.WaitGroup
		for request := range channels {
			channel, requests, err := request.Accept()
			if err != nil {
				break
			}
			all.Go(func() {
				r := <-requests
				if r == nil {
					return
				}
				var m struct{ Line string }
				ssh.Unmarshal(r.Payload, &m)
				run(channel, r, requests, m.Line)
			})
		}
		conn.Wait()
		all.Wait()
	})
}

// saying accepts exec, writes a text and ends with a status.
func saying(status uint32, say func(ssh.Channel)) script {
	return func(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, _ string) {
		exec.Reply(true, nil)
		say(c)
		c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		c.Close()
	}
}

// without accepts exec and then runs end, whose writes have no end.
func without(end func(c ssh.Channel, line string)) script {
	return func(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, line string) {
		exec.Reply(true, nil)
		go end(c, line)
		for range in {
		}
		c.Close()
	}
}

func dies(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, _ string) {
	exec.Reply(true, nil)
	c.SendRequest("exit-signal", false, ssh.Marshal(struct {
		Signal    string
		Dumped    bool
		Message   string
		Languages string
	}{strings.Repeat("\x1b", 10000), true, "", ""}))
	c.Close()
}

func hangs(_ ssh.Channel, _ *ssh.Request, in <-chan *ssh.Request, _ string) {
	for range in {
	}
}

func TestHostileCommands(t *testing.T) {
	for name, test := range map[string]struct {
		run  script
		sudo bool
		kind error // nil for an *ExitError
	}{
		"escapes in stderr": {saying(1, func(c ssh.Channel) { io.WriteString(c.Stderr(), "\x1b]0;owned\x07\x1b[2J\r\n") }), false, nil},
		"a long line":       {saying(1, func(c ssh.Channel) { io.WriteString(c.Stderr(), strings.Repeat("\x1b", 1<<20)) }), false, nil},
		"a long signal":     {dies, false, nil},
		"endless stderr":    {without(func(c ssh.Channel, _ string) { repeat(c.Stderr(), "\x1b[31mno end") }), false, context.DeadlineExceeded},
		"endless stdout":    {without(func(c ssh.Channel, _ string) { repeat(c, "no end") }), false, context.DeadlineExceeded},
		"never answers":     {hangs, false, context.DeadlineExceeded},
		"never ends":        {without(func(ssh.Channel, string) {}), false, context.DeadlineExceeded},
		"no status": {func(c ssh.Channel, exec *ssh.Request, _ <-chan *ssh.Request, _ string) {
			exec.Reply(true, nil)
			c.Close()
		}, false, remote.ErrLost},
		"sudo says much":    {saying(1, func(c ssh.Channel) { io.WriteString(c.Stderr(), strings.Repeat("\x1b[31m no\n", 200000)) }), true, remote.ErrSudo},
		"sudo is not there": {saying(127, func(c ssh.Channel) { io.WriteString(c.Stderr(), "sh: sudo: not found\n") }), true, remote.ErrSudo},
		"sudo never asks":   {without(func(ssh.Channel, string) {}), true, remote.ErrSudo},
		"sudo talks on":     {without(func(c ssh.Channel, _ string) { repeat(c.Stderr(), "no end") }), true, remote.ErrSudo},
		"sudo asks again and again": {without(func(c ssh.Channel, line string) {
			_, ask, _ := strings.Cut(line, "'ask-")
			ask, _, _ = strings.Cut(ask, "'")
			repeat(c.Stderr(), "ask-"+ask)
		}), true, remote.ErrSudo},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, func(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, line string) {
				if strings.Contains(line, "s3cret") {
					t.Error("a password on a command line")
				}
				test.run(c, exec, in, line)
			})
			o := options(t)
			o.SudoTimeout = 300 * time.Millisecond
			c := dial(t, h, o)
			ctx := t.Context()
			if test.kind == context.DeadlineExceeded {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 600*time.Millisecond)
				defer cancel()
			}
			err := ends(t, func() error { return c.Run(ctx, remote.Command{Line: "true", Sudo: test.sudo}) })
			var exit *remote.ExitError
			if test.kind == nil && errors.As(err, &exit) {
				test.kind = exit
			}
			refused(t, err, test.kind)
			if len(err.Error()) > 2500 || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("it says %d bytes: %.2000s", len(err.Error()), err)
			}
			if err := ends(t, c.Close); err != nil {
				t.Error(err)
			}
		})
	}
}

// Output of sudo is not the command's, in whatever pieces it arrives.
func TestSudoInPieces(t *testing.T) {
	var got bytes.Buffer
	h := serve(t, func(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, line string) {
		exec.Reply(true, nil)
		_, ask, _ := strings.Cut(line, "'ask-")
		ask, _, _ = strings.Cut(ask, "'")
		_, run, _ := strings.Cut(line, "run-")
		run, _, _ = strings.Cut(run, " ")
		for _, piece := range strings.SplitAfter("We trust you have received the usual lecture\nask-ask-"+ask, "") {
			io.WriteString(c.Stderr(), piece)
		}
		password := make([]byte, 7)
		io.ReadFull(c, password)
		for _, piece := range strings.SplitAfter("\nrun-run-"+run+"\nthe command's", "") {
			io.WriteString(c.Stderr(), piece)
		}
		input, _ := io.ReadAll(c)
		c.Write(append(password, input...))
		c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		c.Close()
	})
	c := dial(t, h, options(t))
	var said bytes.Buffer
	err := c.Run(t.Context(), remote.Command{Line: "cat", Sudo: true, Stdin: strings.NewReader("input"), Stdout: &got, Stderr: &said})
	if err != nil || got.String() != "s3cret\ninput" || said.String() != "\nthe command's" {
		t.Errorf("got %q and %q: %v", got.String(), said.String(), err)
	}
	c.Close()
}

// Output that nobody reads is not kept.
func TestMemoryIsBounded(t *testing.T) {
	h := serve(t, without(func(c ssh.Channel, _ string) { repeat(c.Stderr(), "no end") }))
	c := dial(t, h, options(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Run(ctx, remote.Command{Line: "true"})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	c.Close()
}
