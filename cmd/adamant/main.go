// Command adamant makes running software immutable and shows the difference
// wherever something changed anyway.
//
// This package holds flags, wiring and exit codes, one file a command; what a
// command does is in the packages below internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/adamant-sh/adamant/internal/observe"
)

// The exit codes, a contract: see docs/cli.md.
const (
	exitClean      = 0
	exitError      = 1
	exitUsage      = 2
	exitFindings   = 3
	exitIncomplete = 4
)

// apiVersion is that of every document printed with -o json.
const apiVersion = "adamant.sh/v1"

func main() {
	// Under this name containerd calls us as an OCI runtime, to trace what a
	// container writes.
	if filepath.Base(os.Args[0]) == observe.RuntimeName {
		os.Exit(observe.RuntimeMain(os.Args))
	}
	os.Exit(run())
}

// run executes the command line and turns its outcome into an exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	return a.exitCode(newRootCommand(a).ExecuteContext(ctx))
}

// A status is an outcome with an exit code of its own. Its message, if any, was
// part of the command's result and is not printed again.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// A usageError is a command line that cannot be meant.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A hint says how an error can be mended.
type hint struct {
	error
	mend string
}

func (h hint) Unwrap() error { return h.error }
func (h hint) Hint() string  { return h.mend }

// exitCode prints err where that has not been done yet and says how to exit.
func (a *app) exitCode(err error) int {
	var s status
	var usage usageError
	switch {
	case err == nil:
		return exitClean
	case errors.As(err, &s):
		return int(s)
	case errors.As(err, &usage):
		a.printError(err)
		fmt.Fprintln(a.err, "  see 'adamant --help'")
		return exitUsage
	}
	a.printError(err)
	return exitError
}

func (a *app) printError(err error) {
	fmt.Fprintln(a.err, "adamant:", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		fmt.Fprintln(a.err, "  hint:", h.Hint())
	}
}
