package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/terminal"
)

func newExecCommand(a *app) *cobra.Command {
	var in scope
	var container string
	var stdin, tty bool
	cmd := &cobra.Command{
		Use:   "exec POD [--] COMMAND [ARG...]",
		Short: "Run a command in a container of a pod",
		Long: `Exec runs a command in a running container and exits with its exit code. Flags
after the command are the command's, with or without a -- before it.`,
		Example: `  adamant exec nginx-pod -- touch /etc/nginx/x
  adamant exec nginx-pod ls -l /etc/nginx
  adamant exec -it nginx-pod -c nginx-container -- sh`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			command, err := a.execCommand(cmd, args[1:])
			if err != nil || command == nil {
				return err
			}
			streams := pod.Streams{Stdout: a.out, Stderr: a.err, TTY: tty}
			if stdin {
				streams.Stdin = a.in
			}
			return a.withPod(ctx, in, args[0], func(p *pod.Pod) error {
				if tty {
					restore, err := a.rawTerminal(ctx, &streams)
					if err != nil {
						return err
					}
					defer restore()
				}
				code, err := p.Exec(ctx, container, command, streams)
				if err == nil && code != 0 {
					err = status(code)
				}
				return err
			})
		},
	}
	cmd.Flags().SetInterspersed(false)
	a.addScope(&in, cmd)
	cmd.Flags().StringVarP(&container, "container", "c", "", "container of the pod (default: its first)")
	cmd.Flags().BoolVarP(&stdin, "stdin", "i", false, "pass standard input on")
	cmd.Flags().BoolVarP(&tty, "tty", "t", false, "give the command a terminal")
	return cmd
}

// execCommand takes our own flags from between the pod and the command. It
// returns no command if they asked for help.
func (a *app) execCommand(cmd *cobra.Command, args []string) ([]string, error) {
	if err := cmd.Flags().Parse(args); err != nil {
		return nil, usageError{err}
	}
	if help, err := cmd.Flags().GetBool("help"); err == nil && help {
		return nil, cmd.Help()
	}
	command := cmd.Flags().Args()
	if len(command) == 0 {
		return nil, usagef("name the command to run: adamant exec POD -- COMMAND")
	}
	return command, a.checkFlags(cmd)
}

// rawTerminal connects the command to this process's terminal. The caller must
// call restore afterwards.
func (a *app) rawTerminal(ctx context.Context, s *pod.Streams) (restore func(), err error) {
	f, ok := a.in.(*os.File)
	if !ok || !terminal.IsTerminal(f) {
		return nil, usagef("--tty needs a terminal on standard input")
	}
	s.Stderr = nil // a terminal has one output
	s.Resize, restore, err = terminal.MakeRaw(ctx, f, func(w, h int) pod.TerminalSize { return pod.TerminalSize{Width: uint16(w), Height: uint16(h)} })
	return restore, err
}
