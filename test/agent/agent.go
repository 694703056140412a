// Package agent is for tests: an agent of this process on any directory, as it
// would be on a server that has that for its root.
package agent

import (
	"io"
	"testing"

	"github.com/adamant-sh/adamant/internal/server"
	"github.com/adamant-sh/adamant/internal/tree"
)

// On greets an agent that reads dir. It ends with the test.
func On(t *testing.T, dir string) *server.Peer {
	t.Helper()
	root, err := tree.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	asked, ask := io.Pipe()
	answered, answer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer.CloseWithError(server.Serve(t.Context(), root, server.ServeOptions{}, asked, answer))
	}()
	t.Cleanup(func() {
		ask.Close()
		answered.Close()
		<-done
		root.Close()
	})
	p, err := server.Greet("agent", answered, ask)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
