package ssh_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/test/sshd"
)

// ends fails the test at once if f hangs.
func ends(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
		return nil
	}
}

// A signal is a writer that closes came at the first byte.
type signal struct {
	once sync.Once
	came chan struct{}
}

func newSignal() *signal { return &signal{came: make(chan struct{})} }

func (s *signal) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.came) })
	return len(p), nil
}

func TestLost(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{})
	for name, test := range map[string]struct {
		line   string
		happen func()
		says   string
	}{
		"the link, of an idle command":   {"echo; sleep 1000", s.LinkDown, "sent nothing for"},
		"the link, of a busy command":    {"yes", s.LinkDown, "sent nothing for"},
		"the server":                     {"echo; sleep 1000", s.Kill, "command"},
		"its process for the connection": {"echo; sleep .3; kill -9 $PPID; sleep 1000", func() {}, "command"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			o.KeepaliveInterval = 500 * time.Millisecond
			c := dial(t, host(t, l, s, "root"), o)
			out := newSignal()
			happened := make(chan struct{})
			go func() {
				defer close(happened)
				<-out.came
				test.happen()
			}()
			err := ends(t, func() error { return c.Run(t.Context(), ssh.Command{Line: test.line, Stdout: out}) })
			refused(t, err, ssh.ErrLost, test.says)
			<-happened
			err = ends(t, func() error { return c.Run(t.Context(), ssh.Command{Line: "true"}) })
			refused(t, err, ssh.ErrLost)
			c.Close()
			s.Reboot()
		})
	}
}

func TestBusyLinksAreNotLost(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{})
	o := options(t)
	o.KeepaliveInterval, o.KeepaliveCount = 100*time.Millisecond, 30
	c := dial(t, host(t, l, s, "root"), o)
	var all sync.WaitGroup
	for i := range 20 { // more than sshd lets be open at once
		all.Go(func() {
			var out bytes.Buffer
			err := c.Run(t.Context(), ssh.Command{Line: fmt.Sprintf("head -c 1000000 /dev/zero; sleep 3.5; echo %d", i), Stdout: &out})
			if err != nil || !strings.HasSuffix(out.String(), fmt.Sprintf("\x00%d\n", i)) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
}

func TestCancel(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{})
	c := dial(t, host(t, l, s, "ops"), options(t))
	for name, cmd := range map[string]ssh.Command{
		"idle":          {Line: "echo; sleep 1234"},
		"endless":       {Line: "yes"},
		"waiting":       {Line: "echo; cat", Stdin: &endless{}},
		"waiting, sudo": {Line: "echo; cat", Stdin: &endless{}, Sudo: true},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		out := newSignal()
		cmd.Stdout = out
		go func() { <-out.came; cancel() }()
		err := ends(t, func() error { return c.Run(ctx, cmd) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := output(t, c, ssh.Command{Line: "for i in 1 2 3 4 5 6 7 8 9; do pgrep -x 'sleep|yes|cat' >/tmp/left || break; sleep .2; done 2>/dev/null; cat /tmp/left"}); got != "" {
		t.Errorf("processes go on: %s", got)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	s.LinkDown()
	defer s.LinkUp()
	err := ends(t, func() error { return c.Run(ctx, ssh.Command{Line: "true"}) })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("link down: got %v", err)
	}
}

// endless is an input that has another line every moment.
type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return copy(p, "x\n"), nil
}

func TestStart(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("web-1", sshd.Options{})
	h := host(t, l, s, "admin")
	h.Become = inventory.Become{Password: inventory.NewSecret(sshd.AdminPassword)}
	c := dial(t, h, options(t))
	for _, sudo := range []bool{false, true} {
		session, err := c.Start(t.Context(), ssh.Command{Line: `while read -r a; do echo "$(id -un) $a"; done; exit 3`, Sudo: sudo})
		if err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(session.Stdout)
		for i := range 50 {
			fmt.Fprintf(session.Stdin, "%d\n", i)
			line, err := answers.ReadString('\n')
			want := fmt.Sprintf("%s %d\n", map[bool]string{false: "admin", true: "root"}[sudo], i)
			if err != nil || line != want {
				t.Fatalf("got %q, want %q: %v", line, want, err)
			}
		}
		session.Stdin.Close()
		rest, err := io.ReadAll(answers)
		if err != nil || len(rest) > 0 {
			t.Errorf("%q is left: %v", rest, err)
		}
		var exit *ssh.ExitError
		if err := session.Wait(); !errors.As(err, &exit) || exit.Status != 3 {
			t.Errorf("got %v", err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	session, err := c.Start(ctx, ssh.Command{Line: "yes"}) // nobody reads
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := session.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := io.Copy(io.Discard, session.Stdout); !errors.Is(err, context.Canceled) {
		t.Errorf("its output ends with %v", err)
	}
	if _, err := c.Start(t.Context(), ssh.Command{Line: "yes"}); err != nil { // Close ends it
		t.Fatal(err)
	}
	if err := ends(t, c.Close); err != nil {
		t.Error(err)
	}
	if err := c.Run(t.Context(), ssh.Command{Line: "true"}); err == nil {
		t.Error("a closed connection runs commands")
	}
}
