// Package agent runs an agent in the process of a test, on any directory, as it
// would run on a server with that root.
package agent

import (
	"io"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// On starts an agent that reads dir and returns a connection to it. The agent
// ends with the test.
func On(t *testing.T, dir string) *facts.Peer {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	asked, ask := io.Pipe()
	answered, answer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer.CloseWithError(facts.Serve(t.Context(), root, facts.ServeOptions{}, asked, answer))
	}()
	t.Cleanup(func() {
		ask.Close()
		answered.Close()
		<-done
		root.Close()
	})
	p, err := facts.Greet("agent", answered, ask)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
