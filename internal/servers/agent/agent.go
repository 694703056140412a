// Package agent answers requests about the server that it runs on, changes the
// server, and writes the parts of a capture. It is the program that adamant sends to
// servers, so it imports nothing that reaches servers: a small program is sent fast.
// It parses no command lines; see cmd/internal/agentcmd.
package agent

import (
	"context"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// ServeOptions configures Serve.
type ServeOptions struct {
	Root  string // the server's root directory
	Cache string // file for the results of the next scan, or empty
	Full  bool   // read all files again
}

// Serve reads this server and answers requests on in until it ends.
func Serve(ctx context.Context, o ServeOptions, in io.Reader, out io.Writer) error {
	r, err := rootfs.Open(o.Root)
	if err != nil {
		return fmt.Errorf("open the root: %w", err)
	}
	defer r.Close()
	scan := facts.ScanOptions{Cache: o.Cache, Full: o.Full}
	return facts.Serve(ctx, r, facts.ServeOptions{Live: o.Root == "/", Scan: scan}, in, out)
}
