package ssh_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	remote "github.com/adamant-sh/adamant/internal/servers/ssh"
)

// accept serves each connection with f, until the test ends.
func accept(t *testing.T, listener net.Listener, f func(net.Conn)) {
	var all sync.WaitGroup
	t.Cleanup(func() { listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); f(c) })
		}
	})
}

// listen serves each connection with f, and returns its host.
func listen(t *testing.T, key ssh.Signer, f func(net.Conn)) inventory.Host {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, listener, f)
	port := listener.Addr().(*net.TCPAddr).Port
	h := inventory.Host{Name: "evil", Address: "127.0.0.1", Port: port, User: "root", ConnectTimeout: 20 * time.Second,
		Password: inventory.NewSecret("s3cret"), Become: inventory.Become{User: "admin", Password: inventory.NewSecret("s3cret")}}
	h.UserKnownHosts = []string{write(t, "known_hosts", "* "+string(ssh.MarshalAuthorizedKey(key.PublicKey())))}
	return h
}

// repeat writes a text until a write fails.
func repeat(w io.Writer, text string) {
	long := []byte(strings.Repeat(text, 1+20000/len(text)))
	for {
		if _, err := w.Write(long); err != nil {
			return
		}
	}
}

// wait reads until the other end closes the connection.
func wait(c net.Conn) { io.Copy(io.Discard, c) }

func TestHostileHandshakes(t *testing.T) {
	key := newSigner(t)
	server := func(change func(*ssh.ServerConfig)) func(net.Conn) {
		return func(c net.Conn) {
			config := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }}
			config.AddHostKey(key)
			change(config)
			if conn, _, _, err := ssh.NewServerConn(c, config); err == nil {
				conn.Wait()
			}
		}
	}
	for name, test := range map[string]struct {
		serve func(net.Conn)
		kind  error
	}{
		"says nothing":             {wait, remote.ErrUnreachable},
		"hangs up":                 {func(net.Conn) {}, remote.ErrUnreachable},
		"endless banner":           {func(c net.Conn) { repeat(c, "\x1b[31mhello\r\n") }, remote.ErrUnreachable},
		"endless version":          {func(c net.Conn) { repeat(c, "SSH-2.0-\x1b[31m") }, remote.ErrUnreachable},
		"slow banner":              {func(c net.Conn) { drip(c) }, remote.ErrUnreachable},
		"another protocol":         {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 \x1b[2J\r\n\r\n") }, remote.ErrUnreachable},
		"garbage":                  {func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n"); repeat(c, "\x00\x00\x10\x00\x1b[31m") }, remote.ErrUnreachable},
		"never answers the login":  {server(func(s *ssh.ServerConfig) { s.PasswordCallback = hang }), remote.ErrUnreachable},
		"another key":              {server(func(s *ssh.ServerConfig) { s.AddHostKey(newSigner(t)) }), remote.ErrHostKeyChanged},
		"refuses with escapes":     {server(func(s *ssh.ServerConfig) { s.PasswordCallback = refuse }), remote.ErrAuth},
		"asks again and again":     {server(func(s *ssh.ServerConfig) { s.PasswordCallback = nil; s.KeyboardInteractiveCallback = nag }), remote.ErrUnreachable},
		"asks other things, much":  {server(func(s *ssh.ServerConfig) { s.PasswordCallback = nil; s.KeyboardInteractiveCallback = pry }), remote.ErrAuth},
		"a banner of two megabyte": {server(func(s *ssh.ServerConfig) { s.BannerCallback = banner; s.PasswordCallback = refuse }), remote.ErrAuth},
	} {
		t.Run(name, func(t *testing.T) {
			h := listen(t, key, test.serve)
			if test.kind == remote.ErrUnreachable {
				h.ConnectTimeout = 500 * time.Millisecond
			}
			err := ends(t, func() error { return try(t, h, options(t)) })
			refused(t, err, test.kind)
			if len(err.Error()) > 1500 || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("it says %d bytes: %.2000s", len(err.Error()), err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		h := listen(t, key, wait)
		h.ConnectTimeout = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := ends(t, func() error { _, err := remote.Dial(ctx, h, options(t)); return err })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("thinking does not count", func(t *testing.T) {
		h := listen(t, key, server(func(*ssh.ServerConfig) {}))
		h.Password, h.ConnectTimeout = inventory.Secret{}, 3*time.Second
		o := options(t)
		o.AskPassword = func(string) (string, error) { time.Sleep(h.ConnectTimeout); return "x", nil }
		if err := try(t, h, o); err != nil {
			t.Error(err)
		}
	})
}

func drip(c io.Writer) {
	for {
		if _, err := io.WriteString(c, "x\n"); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func hang(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
	time.Sleep(time.Second)
	return nil, errors.New("too late")
}

func refuse(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
	return nil, errors.New("\x1b[31mno\n")
}

func nag(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	for {
		if _, err := challenge("", "\x1b[31m", nil, nil); err != nil {
			return nil, err
		}
	}
}

func pry(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	_, err := challenge("", "", make([]string, 1000), make([]bool, 1000))
	return nil, err
}

func banner(ssh.ConnMetadata) string { return strings.Repeat("\x1b[31m", 50000) }
