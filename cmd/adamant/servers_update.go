package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

// updateFlags are the flags of an update.
type updateFlags struct {
	serverFlags
	job          servers.JobSpec
	spec         servers.UpdateSpec
	update       servers.Update
	records      string
	resume, undo string
}

func newServersUpdateCommand(a *app) *cobra.Command {
	var u updateFlags
	cmd := &cobra.Command{
		Use:   "update PATTERN... | --resume | --undo",
		Short: "Change servers in place, in waves, and verify each before the next",
		Long: `Update changes servers: packages, then files, then a command, then a script. Each
is read before and after; what it may touch is saved. The next wave begins only
if no more servers failed than may.

A change that cuts the connection reverts itself, unless it is confirmed over a
new one within --confirm. What became of each server is kept apart, with a cause
in a sentence, and has an exit code of its own; what weighs most counts:

  0  all changed, or nothing had to be     7  half changed
  5  unreachable                           8  rolled back
  6  failed, and nothing is different      9  not begun

It exits 4 where it would be 0 and something could not be read or compared.
Every run is a record that adamant servers history shows.`,
		Example: `  adamant servers update -i hosts.ini web --package nginx=1.24.0-1 --batch 1,25%,100%
  adamant servers update -i hosts.ini web --copy nginx.conf:/etc/nginx/nginx.conf --run 'nginx -s reload'
  adamant servers update -i hosts.ini web --package linux-image-amd64 --batch 1 --reboot if-needed
  adamant servers update -i hosts.ini --resume          # what failed of the last run, and only that
  adamant servers update -i hosts.ini --undo 7          # packages and files as they were before run 7`,
		RunE: func(cmd *cobra.Command, args []string) error { return u.do(cmd, a, args) },
	}
	u.reachFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&u.job.Package, "package", nil, "NAME or NAME=VERSION to be installed by apt; may be repeated")
	f.StringArrayVar(&u.job.Copy, "copy", nil, "FILE:PATH, a file of this machine and where it goes; may be repeated")
	f.StringVar(&u.job.Run, "run", "", "a command for sh")
	f.StringVar(&u.job.Script, "script", "", "a file of this machine that is run there")
	f.StringVar(&u.job.UndoRun, "undo-run", "", "a command for sh that takes back what is no file and no package")
	f.StringArrayVar(&u.job.Save, "save", nil, "a directory that is saved, beside /etc, /usr/local, /opt, /root and crontabs; may be repeated")
	f.StringVar(&u.spec.Batch, "batch", "1,25%,100%", "sizes of the waves, the last for all that follow; each has at least one server")
	f.StringVar(&u.spec.MaxFailures, "max-failures", "0", "servers that may fail before no more waves are begun, or a percentage")
	f.DurationVar(&u.job.Timeout, "timeout", 10*time.Minute, "how long a change of one server may take")
	f.DurationVar(&u.job.Confirm, "confirm", 30*time.Second, "how long a server waits to be reached again before it reverts; 0 never reverts")
	f.BoolVar(&u.job.ConfirmReboot, "confirm-reboot", false, "restart a server that nobody can log in to after it has reverted an unconfirmed change")
	f.StringVar((*string)(&u.job.Reboot), "reboot", "never", "whether a server reboots after its change, before the next wave: never, if-needed or always")
	f.DurationVar(&u.job.RebootTimeout, "reboot-timeout", 10*time.Minute, "how long a server may take to reboot and to start its units")
	f.StringVar(&u.spec.OnFailure, "on-failure", "keep", "what becomes of a server that is half changed: keep or undo")
	f.StringVarP(&u.update.Reason, "reason", "m", "", "why, for the record")
	f.StringVar(&u.records, "records", "", "directory of the records, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	f.StringVar(&u.resume, "resume", "", "take up a run, the last one by default: what failed of it, and only that")
	f.StringVar(&u.undo, "undo", "", "take a run back, the last one by default: packages and files that it changed")
	f.Lookup("resume").NoOptDefVal, f.Lookup("undo").NoOptDefVal = "last", "last"
	must(cmd.RegisterFlagCompletionFunc("on-failure", choices("keep", "undo")))
	must(cmd.RegisterFlagCompletionFunc("reboot", choices(servers.RebootModes...)))
	return cmd
}

func (u *updateFlags) do(cmd *cobra.Command, a *app, args []string) error {
	records, err := openHistory(u.records)
	if err != nil {
		return err
	}
	up := &u.update
	up.Action, up.Batches, up.By = servers.ActionUpdate, u.spec.Batch, servers.CurrentUser()
	if err := u.setJob(records); err != nil {
		return err
	}
	if up.Action == servers.ActionResume && up.Before.Batches != "" && !cmd.Flags().Changed("batch") {
		u.spec.Batch, up.Batches = up.Before.Batches, up.Before.Batches
	}
	if len(args) == 0 && len(up.Targets()) == 0 {
		return usagef("say which servers: a PATTERN, or all")
	}
	g, err := u.group(cmd.Context(), a, args)
	if err != nil {
		return err
	}
	if up.Options, err = u.spec.Parse(); err != nil {
		return fieldUsage(err)
	}
	up.Options.Parallel = u.reach.Parallel
	up.Options.OnNote = func(server, text string) { a.progress("%s %s", server, text) }
	up.Options.OnResult = func(r servers.Result) { a.progress("%s", report.UpdateProgress(r)) }
	if g.Options, err = u.options(a); err != nil {
		return err
	}
	r, err := g.Update(cmd.Context(), records, *up)
	for _, res := range r.Continuing() {
		a.progress("%s", report.UpdateContinues(res, up.Job.Confirm))
	}
	if err != nil {
		return err
	}
	return a.finishUpdate(r)
}

// group returns the servers of an update. They and the servers that they are
// compared with have their logins.
func (u *updateFlags) group(ctx context.Context, a *app, patterns []string) (*servers.Group, error) {
	inv, err := u.inventory(ctx, a, true)
	if err != nil {
		return nil, err
	}
	s, note, err := u.update.Select(inv, patterns)
	if err != nil {
		return nil, err
	}
	a.noteSettings(s)
	if note != nil {
		a.progress("note: the statement is of the servers of this run alone: %v", note)
	}
	return &servers.Group{Hosts: s.Hosts}, u.login.Complete(a.askPassword, s.Hosts, u.update.Others)
}

// setJob sets the job that the flags describe, or the run that is resumed or undone.
func (u *updateFlags) setJob(records *servers.History) (err error) {
	earlier := u.resume + u.undo
	switch {
	case u.resume != "" && u.undo != "":
		return usagef("--resume and --undo exclude each other")
	case earlier != "" && !u.job.IsEmpty():
		return usagef("--resume and --undo do what the earlier run says, and nothing else")
	case earlier != "":
		return u.setEarlierRun(records, earlier)
	case u.job.Timeout <= 0 || u.job.Confirm < 0:
		return usagef("--timeout must be more than nothing, and --confirm not less")
	case u.job.IsEmpty():
		return usagef("there is nothing to change: say --package, --copy, --run or --script")
	}
	u.update.Job, err = u.job.Load()
	return fieldUsage(err)
}

func (u *updateFlags) setEarlierRun(records *servers.History, name string) (err error) {
	up := &u.update
	up.Action = servers.ActionResume
	if u.undo != "" {
		up.Action = servers.ActionUndo
	}
	if name == "last" {
		name = ""
	}
	if up.Before, up.Job, err = records.Find(name); err != nil {
		return hint{err, "adamant servers history lists the runs"}
	}
	if len(up.Targets()) == 0 {
		return fmt.Errorf("run %d left nothing to take up", up.Before.Number)
	}
	return nil
}

// fieldUsage returns a usage error for a field, because a flag has its name.
func fieldUsage(err error) error {
	var field *servers.FieldError
	if errors.As(err, &field) {
		return usagef("--%w", err)
	}
	return err
}

// finishUpdate prints a run and ends the command with its verdict.
func (a *app) finishUpdate(r servers.Record) error {
	result := report.NewServerUpdate(r)
	if err := a.print(result); err != nil {
		return err
	}
	if r.Worst() != "" && r.Action != servers.ActionUndo && !a.document() {
		a.progress("hint: adamant servers update --resume takes up what failed, --undo takes all of it back; run %d, see adamant servers history %d", r.Number, r.Number)
	}
	return exitWith(result.Verdict())
}
