package sshd_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/test/sshd"
)

// address returns the address of a server's link.
func address(s *sshd.Server) string {
	return net.JoinHostPort(s.Link().Addr, strconv.Itoa(s.Link().Port))
}

// through runs a command over a link and returns the output that arrived.
func through(t *testing.T, l *sshd.Lab, s *sshd.Server, stdin io.Reader, command string) (string, error) {
	t.Helper()
	client, err := ssh.Dial("tcp", address(s), &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(l.Key)},
		HostKeyCallback: ssh.FixedHostKey(s.HostKeys[0]), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
	if err != nil {
		return "", err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	session.Stdin, session.Stdout = stdin, &out
	err = session.Run(command)
	return out.String(), err
}

func TestLink(t *testing.T) {
	l := sshd.Open(t)
	s := l.Start("far", sshd.Options{})
	text := strings.Repeat("all that was sent ", 20_000)
	whole := func() {
		t.Helper()
		if got, err := through(t, l, s, strings.NewReader(text), "cat"); err != nil || got != text {
			t.Errorf("%d of %d bytes come back: %v", len(got), len(text), err)
		}
	}
	s.Through(sshd.Quality{})
	whole()
	s.Through(sshd.Quality{Latency: 5 * time.Millisecond, Bandwidth: 2_000_000, Stall: 10 * time.Millisecond, StallAfter: 50_000, Seed: 1})
	whole()
	if down := s.Link().Down(); down < int64(2*len(text)) {
		t.Errorf("%d bytes were counted", down)
	}

	for name, q := range map[string]sshd.Quality{"down": {CutDown: 100_000, Cuts: 1}, "up": {CutUp: 100_000, Cuts: 1}, "login": {CutDown: 1000, Cuts: 1}} {
		s.Through(q)
		got, err := through(t, l, s, strings.NewReader(text), "cat")
		if err == nil || len(got) >= 100_000 {
			t.Errorf("cut %s: %d bytes come back: %v", name, len(got), err)
		}
		whole()
	}

	s.Through(sshd.Quality{})
	conn, err := net.Dial("tcp", address(s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if n := s.Link().Cut(); n != 1 {
		t.Errorf("%d connections are cut, want 1", n)
	}
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	whole()
}

func TestParseQuality(t *testing.T) {
	got, err := sshd.ParseQuality(strings.Fields("latency=150ms bandwidth=1000 stall=1s stall-after=2000 seed=3 cut-down=4 cut-up=5 cuts=6"))
	want := sshd.Quality{Latency: 150 * time.Millisecond, Bandwidth: 1000, Stall: time.Second, StallAfter: 2000, Seed: 3, CutDown: 4, CutUp: 5, Cuts: 6}
	if err != nil || got != want {
		t.Errorf("got %+v: %v", got, err)
	}
	for _, bad := range []string{"fast", "latency=5", "cuts=x"} {
		if _, err := sshd.ParseQuality([]string{bad}); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
