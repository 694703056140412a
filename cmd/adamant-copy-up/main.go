// Command adamant-copy-up is the program in the image of `adamant copy-up-image`. It
// takes the command line of `adamant copy-up`, and can do nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/adamant-sh/adamant/internal/learn/copyup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "copy-up" {
		args = args[1:]
	}
	if err := run(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "adamant-copy-up:", err)
		var usage usageError
		if errors.As(err, &usage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

type usageError struct{ error }

func run(ctx context.Context, args []string) error {
	o := copyup.Options{Warn: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	flags := flag.NewFlagSet("copy-up", flag.ExitOnError)
	flags.StringVar(&o.From, "from", "/", "root of the image")
	flags.StringVar(&o.To, "to", "/volumes", "directory with the volumes")
	flags.BoolVar(&o.Strict, "strict", false, "fail where an owner, mode or attribute cannot be kept")
	install := flags.String("install", "", "copy this program to a file and do nothing else")
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	if (*install == "") == (flags.NArg() == 0) {
		return usageError{errors.New("name paths to copy up, or --install FILE")}
	}
	if *install != "" {
		return copyup.Install(ctx, *install)
	}
	for _, arg := range flags.Args() {
		t, err := copyup.ParseTarget(arg)
		if err != nil {
			return usageError{err}
		}
		o.Targets = append(o.Targets, t)
	}
	return copyup.Run(ctx, o)
}
