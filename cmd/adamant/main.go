// Command adamant makes running software immutable and shows the difference
// wherever something changed anyway.
//
// This package holds flags, wiring and exit codes, with one file for each command.
// The work of a command is in the packages below internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/terminal"
	"github.com/adamant-sh/adamant/internal/text"
)

func main() {
	// Under this name containerd calls us as an OCI runtime, to trace what a
	// container writes.
	if filepath.Base(os.Args[0]) == learn.RuntimeName {
		os.Exit(learn.RuntimeMain(os.Args))
	}
	silenceLibraries()
	os.Exit(run())
}

// silenceLibraries discards what libraries log on stderr: net/http about servers that
// break the protocol, client-go, and containerd's client. All of them return their
// errors, too.
func silenceLibraries() {
	log.SetOutput(io.Discard)
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	logrus.SetOutput(io.Discard)
}

// run executes the command line and turns its outcome into an exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, log: terminal.Log{Out: os.Stderr}}
	cmd, err := newRootCommand(a).ExecuteContextC(ctx)
	if interrupted(ctx, err) {
		err = errors.Join(errors.New("interrupted"), cleanupErrors(err))
	}
	return a.exitCode(cmd, err)
}

// A status is an exit code. Its reason is part of the command's result and is
// not printed again.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// exitWith ends a command that has printed its result.
func exitWith(v report.Verdict) error {
	if v == report.Clean {
		return nil
	}
	return status(v)
}

// A usageError is returned for an invalid command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode prints err, unless it is a status, and returns the exit code. The
// usage that it prints is that of cmd.
func (a *app) exitCode(cmd *cobra.Command, err error) int {
	var s status
	var usage usageError
	switch {
	case err == nil:
		return int(report.Clean)
	case errors.As(err, &s):
		return int(s)
	case errors.As(err, &usage):
		a.printError(err)
		fmt.Fprintf(a.err, "  usage: %s\n  see: %s --help\n", cmd.UseLine(), cmd.CommandPath())
		return int(report.Misused)
	}
	a.printError(err)
	return int(report.Failed)
}

func (a *app) printError(err error) {
	fmt.Fprintln(a.err, "adamant:", text.EscapeLines(err.Error()))
	if h := mend(err); h != "" {
		fmt.Fprintln(a.err, "  hint:", text.EscapeLines(h))
	}
}
