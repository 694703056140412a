// Package agent is the program that runs on a server while it is connected: it
// answers requests about the server, changes it, and writes the parts of a capture.
// cmd/adamant-agent holds nothing else, so that little is sent to servers; adamant
// has the same as hidden commands.
package agent

import (
	"io"

	"github.com/spf13/cobra"
)

// streams are those that the program talks over.
type streams struct {
	in  io.Reader
	out io.Writer
}

// Commands returns the commands below "servers" that are run on a server.
func Commands(in io.Reader, out io.Writer) []*cobra.Command {
	s := streams{in, out}
	return []*cobra.Command{newServeCommand(s), newChangeCommand(s), newPartCommand(s)}
}
