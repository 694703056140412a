package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/terminal"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// app holds what all commands share: streams and the global flags.
type app struct {
	in       io.Reader
	out, err io.Writer

	root, state, endpoint string
	output, color         string

	log terminal.Log // of err
}

const rootLong = `Adamant makes running software immutable and shows the difference wherever
something changed anyway.

  check   finds what is mutable in manifests, before they run
  learn   runs a workload and finds exactly what it must write
  seal    rewrites its manifest: read-only root, the smallest set of volumes
  prove   runs it sealed, under load, and shows that nothing it needs fails
  run     runs pods on this machine, as a kubelet would, without a cluster
  drift   shows what changed anyway, content first`

const rootExample = `  adamant doctor                                # what this machine can do
  adamant check deploy/                         # what can change there?
  adamant load nginx.tar                        # an image from an archive
  adamant learn nginx.yaml > nginx.profile      # what must it write?
  adamant seal nginx.yaml --profile nginx.profile -w
  adamant run -d -f nginx.yaml
  adamant drift nginx-pod`

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "adamant",
		Short:         "Make running software immutable, and see what changed anyway",
		Long:          rootLong,
		Example:       rootExample,
		Version:       report.BuildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) },
	}
	if filepath.Base(os.Args[0]) == "kubectl-adamant" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl adamant"}
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.root, "data-dir", env("ADAMANT_ROOT", ""), "directory for images, pods and volumes, also $ADAMANT_ROOT (default /var/lib/adamant)")
	flags.StringVar(&a.state, "state-dir", env("ADAMANT_STATE", ""), "directory for sockets and what a reboot may forget, also $ADAMANT_STATE (default /run/adamant)")
	flags.StringVar(&a.endpoint, "runtime-endpoint", env("ADAMANT_RUNTIME_ENDPOINT", ""), "a CRI socket to use instead of the private containerd, such as unix:///run/crio/crio.sock")
	for _, name := range []string{"data-dir", "state-dir", "runtime-endpoint"} {
		flags.Lookup(name).DefValue = "" // help shows the built-in one, not the environment's
	}
	flags.StringVarP(&a.output, "output", "o", "text", "text, json or yaml; lists also as wide, and name for scripts; check also as sarif, junit, github, openreports or html")
	flags.StringVar(&a.color, "color", "auto", "auto, always or never")
	must(root.RegisterFlagCompletionFunc("output", completeFormats))
	must(root.RegisterFlagCompletionFunc("color", choices("auto", "always", "never")))
	addCommands(root, a)
	addCompletion(root)
	for _, c := range root.Commands() {
		wrapArgs(c)
	}
	return root
}

// must panics on errors that only a bug can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// wrapArgs makes a wrong number of arguments a usage error, also below c.
func wrapArgs(c *cobra.Command) {
	for _, below := range c.Commands() {
		wrapArgs(below)
	}
	check := c.Args
	if check == nil {
		return
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

func (a *app) checkFlags(cmd *cobra.Command) error {
	if all := formats(cmd); !slices.Contains(all, a.output) {
		return usagef("--output %q: want %s or %s", a.output, strings.Join(all[:len(all)-1], ", "), all[len(all)-1])
	}
	if a.color != "auto" && a.color != "always" && a.color != "never" {
		return usagef("--color %q: want auto, always or never", a.color)
	}
	return nil
}

// open starts or finds the engine by the global flags.
func (a *app) open(ctx context.Context) (*pod.Engine, error) {
	return a.openWith(ctx, pod.Options{})
}

// withEngine calls do with the engine.
func (a *app) withEngine(ctx context.Context, do func(*pod.Engine) error) error {
	e, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	return do(e)
}

// withPod calls do with the pod that an argument refers to.
func (a *app) withPod(ctx context.Context, in scope, name string, do func(*pod.Pod) error) error {
	return a.withEngine(ctx, func(e *pod.Engine) error {
		p, err := e.FindIn(ctx, in.namespace(), name)
		if err != nil {
			return err
		}
		return do(p)
	})
}

// openWith is open with options beyond the global flags.
func (a *app) openWith(ctx context.Context, o pod.Options) (*pod.Engine, error) {
	if a.endpoint == "" {
		if err := needRoot(); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	o.Root, o.State, o.RuntimeEndpoint, o.Executable = a.root, a.state, a.endpoint, self
	e, err := pod.Open(ctx, o)
	var missing *pod.MissingProgramsError
	if errors.As(err, &missing) {
		err = hint{err, strings.Join(missing.Mends(), "; ")}
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(learn.Sweep(ctx, e), local.Sweep(ctx, e)); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func needRoot() error {
	if os.Geteuid() == 0 {
		return nil
	}
	return hint{fmt.Errorf("containers need root, and this is user %d", os.Geteuid()), "run it with sudo"}
}

// printer returns the printer of --output.
func (a *app) printer() report.Printer {
	switch report.Format(a.output) {
	case report.FormatJSON:
		return report.JSONPrinter{Out: a.out}
	case report.FormatYAML:
		return report.YAMLPrinter{Out: a.out}
	case report.FormatName:
		return report.NamePrinter{Out: a.out}
	case report.FormatWide:
		return report.WidePrinter{Out: a.out, Color: a.colored(a.out)}
	}
	return report.TextPrinter{Out: a.out, Color: a.colored(a.out), Columns: terminal.Columns(a.out)}
}

// print prints the result of a command that has no verdict.
func (a *app) print(result report.Text) error { return a.printer().Print(result) }

// printVerdict prints the result of a check, and returns its verdict as an exit
// code.
func (a *app) printVerdict(result report.Result) error {
	if err := a.print(result); err != nil {
		return err
	}
	return exitWith(result.Verdict())
}

// progress prints a line on stderr: a step of a command, or a note.
func (a *app) progress(format string, args ...any) { a.log.Printf(format, args...) }

// colored reports whether w gets colours.
func (a *app) colored(w io.Writer) bool {
	if a.color != "auto" {
		return a.color == "always"
	}
	_, plain := os.LookupEnv("NO_COLOR")
	return !plain && terminal.IsTerminal(w)
}

// foreign returns a writer for what a container wrote.
func (a *app) foreign(w io.Writer) *terminal.ForeignWriter {
	return terminal.NewForeignWriter(w, a.colored(w))
}

func env(name, otherwise string) string {
	if v, ok := os.LookupEnv(name); ok {
		return v
	}
	return otherwise
}
