// Package agent is what visits run on a server: to answer what is asked of it, to
// carry out changes of it, and to write what a capture takes. It is a program of
// its own, cmd/adamant-agent, so that little is sent there; adamant has it, too,
// as hidden commands.
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

// Commands are those below "servers" that visits run.
func Commands(in io.Reader, out io.Writer) []*cobra.Command {
	s := streams{in, out}
	return []*cobra.Command{newServeCommand(s), newChangeCommand(s), newPartCommand(s)}
}
