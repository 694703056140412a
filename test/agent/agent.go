// Package agent is for tests: an agent of this process on any directory, as it
// would be on a server that has that for its root.
package agent

import (
	"io"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// On greets an agent that reads dir. It ends with the test.
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
