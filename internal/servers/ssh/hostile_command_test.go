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

// greet answers a login line as sh does, reads the script, and returns the ID of the
// frame.
func greet(c ssh.Channel, line string) string {
	_, id, _ := strings.Cut(line, " g ")
	id, _, _ = strings.Cut(id, " ")
	io.WriteString(c.Stderr(), "g"+id)
	io.WriteString(c, "g"+id)
	var script, one = "", make([]byte, 1)
	for !strings.HasSuffix(script, "\n") || !strings.Contains(script, "\ns"+id) {
		if _, err := c.Read(one); err != nil {
			break
		}
		script += string(one)
	}
	return id
}

// started writes what the script of a frame prints before the command runs.
func started(c ssh.Channel, id string) {
	io.WriteString(c.Stderr(), "e"+id)
	io.WriteString(c, "o"+id)
}

// saying accepts exec, starts the command, writes a text and ends with a status.
func saying(status uint32, say func(ssh.Channel)) script {
	return refusing(status, func(c ssh.Channel, id string) {
		started(c, id)
		say(c)
	})
}

// refusing accepts exec, writes a text, and ends with a status without starting the
// command.
func refusing(status uint32, say func(c ssh.Channel, id string)) script {
	return func(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, line string) {
		exec.Reply(true, nil)
		say(c, greet(c, line))
		c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		c.Close()
	}
}

// without accepts exec, starts the command, and then runs end, whose writes have no
// end.
func without(end func(c ssh.Channel)) script {
	return unstarted(func(c ssh.Channel, line string) { started(c, greet(c, line)); end(c) })
}

// unstarted accepts exec and then runs end, whose writes have no end.
func unstarted(end func(c ssh.Channel, line string)) script {
	return func(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, line string) {
		exec.Reply(true, nil)
		go end(c, line)
		for range in {
		}
		c.Close()
	}
}

func dies(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, line string) {
	exec.Reply(true, nil)
	started(c, greet(c, line))
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
		"endless stderr":    {without(func(c ssh.Channel) { repeat(c.Stderr(), "\x1b[31mno end") }), false, context.DeadlineExceeded},
		"endless stdout":    {without(func(c ssh.Channel) { repeat(c, "no end") }), false, context.DeadlineExceeded},
		"never answers":     {hangs, false, remote.ErrShell},
		"never starts":      {unstarted(func(ssh.Channel, string) {}), false, remote.ErrShell},
		"never ends":        {without(func(ssh.Channel) {}), false, context.DeadlineExceeded},
		"no status": {func(c ssh.Channel, exec *ssh.Request, _ <-chan *ssh.Request, _ string) {
			exec.Reply(true, nil)
			c.Close()
		}, false, remote.ErrLost},
		"no shell": {func(c ssh.Channel, exec *ssh.Request, _ <-chan *ssh.Request, _ string) {
			exec.Reply(true, nil)
			io.WriteString(c, "\x1b[31m"+strings.Repeat("not available ", 1000))
			c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			c.Close()
		}, false, remote.ErrShell},
		"endless banner":            {unstarted(func(c ssh.Channel, _ string) { repeat(c, "\x1b[31mno end") }), false, remote.ErrShell},
		"endless banner, on stderr": {unstarted(func(c ssh.Channel, _ string) { repeat(c.Stderr(), "\x1b[31mno end") }), false, remote.ErrShell},
		"greets again and again":    {unstarted(func(c ssh.Channel, line string) { repeat(c, "g"+greet(c, line)) }), false, remote.ErrShell},
		"asks without sudo":         {unstarted(func(c ssh.Channel, line string) { repeat(c, "a"+greet(c, line)) }), false, remote.ErrShell},
		"sudo says much":            {refusing(1, func(c ssh.Channel, _ string) { io.WriteString(c.Stderr(), strings.Repeat("\x1b[31m no\n", 200000)) }), true, remote.ErrSudo},
		"sudo is not there":         {refusing(127, func(c ssh.Channel, _ string) { io.WriteString(c.Stderr(), "sh: sudo: not found\n") }), true, remote.ErrSudo},
		"sudo always wants a tty": {refusing(1, func(c ssh.Channel, _ string) {
			io.WriteString(c.Stderr(), "sudo: sorry, you must have a tty to run sudo\n")
		}), true, remote.ErrSudo},
		"sudo never asks":           {unstarted(func(c ssh.Channel, line string) { greet(c, line) }), true, remote.ErrSudo},
		"sudo talks on":             {unstarted(func(c ssh.Channel, line string) { greet(c, line); drip(c.Stderr()) }), true, remote.ErrSudo},
		"sudo asks again and again": {unstarted(func(c ssh.Channel, line string) { repeat(c.Stderr(), "a"+greet(c, line)) }), true, remote.ErrSudo},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, func(c ssh.Channel, exec *ssh.Request, in <-chan *ssh.Request, line string) {
				if strings.Contains(line, "s3cret") {
					t.Error("a password on a command line")
				}
				test.run(c, exec, in, line)
			})
			o := options(t)
			o.StartTimeout = 300 * time.Millisecond
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
		io.WriteString(c, "a motd\n")
		id := greet(c, line)
		for _, piece := range strings.SplitAfter("We trust you have received the usual lecture\naa"+id, "") {
			io.WriteString(c.Stderr(), piece)
		}
		password := make([]byte, 7)
		io.ReadFull(c, password)
		for _, piece := range strings.SplitAfter("\nee"+id+"\nthe command's", "") {
			io.WriteString(c.Stderr(), piece)
		}
		for _, piece := range strings.SplitAfter("of PAM: oo"+id+"\n", "") {
			io.WriteString(c, piece)
		}
		input, _ := io.ReadAll(c)
		c.Write(append(password, input...))
		c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		c.Close()
	})
	c := dial(t, h, options(t))
	var said bytes.Buffer
	err := c.Run(t.Context(), remote.Command{Line: "cat", Sudo: true, Stdin: strings.NewReader("input"), Stdout: &got, Stderr: &said})
	if err != nil || got.String() != "\ns3cret\ninput" || said.String() != "\nthe command's" {
		t.Errorf("got %q and %q: %v", got.String(), said.String(), err)
	}
	c.Close()
}

// Output that nobody reads is not kept.
func TestMemoryIsBounded(t *testing.T) {
	h := serve(t, without(func(c ssh.Channel) { repeat(c.Stderr(), "no end") }))
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
