package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
)

// exitOfOutcome has the exit codes of an update by its worst outcome.
var exitOfOutcome = map[servers.Outcome]int{
	"": int(report.Clean), servers.Unreachable: 5, servers.Unchanged: 6, servers.HalfChanged: 7, servers.RolledBack: 8, servers.NotBegun: 9,
}

// updateFlags are the flags of an update.
type updateFlags struct {
	serverFlags
	run, undoRun, script string
	copies, packages     []string
	save                 []string
	batch, maxFailures   string
	timeout, confirm     time.Duration
	onFailure            string
	reason, records      string
	resume, undo         string
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
  adamant servers update -i hosts.ini --resume          # what failed of the last run, and only that
  adamant servers update -i hosts.ini --undo 7          # packages and files as they were before run 7`,
		RunE: func(cmd *cobra.Command, args []string) error { return u.do(cmd, a, args) },
	}
	u.reachFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&u.packages, "package", nil, "NAME or NAME=VERSION to be installed by apt; may be repeated")
	f.StringArrayVar(&u.copies, "copy", nil, "FILE:PATH, a file of this machine and where it goes; may be repeated")
	f.StringVar(&u.run, "run", "", "a command for sh")
	f.StringVar(&u.script, "script", "", "a file of this machine that is run there")
	f.StringVar(&u.undoRun, "undo-run", "", "a command for sh that takes back what is no file and no package")
	f.StringArrayVar(&u.save, "save", nil, "a directory that is saved, beside /etc, /usr/local, /opt, /root and crontabs; may be repeated")
	f.StringVar(&u.batch, "batch", "1,25%,100%", "sizes of the waves, the last for all that follow; each has at least one server")
	f.StringVar(&u.maxFailures, "max-failures", "0", "servers that may fail before no more waves are begun, or a percentage")
	f.DurationVar(&u.timeout, "timeout", 10*time.Minute, "how long a change of one server may take")
	f.DurationVar(&u.confirm, "confirm", 30*time.Second, "how long a server waits to be reached again before it reverts; 0 never reverts")
	f.StringVar(&u.onFailure, "on-failure", "keep", "what becomes of a server that is half changed: keep or undo")
	f.StringVarP(&u.reason, "reason", "m", "", "why, for the record")
	f.StringVar(&u.records, "records", "", "directory of the records, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	f.StringVar(&u.resume, "resume", "", "take up a run, the last one by default: what failed of it, and only that")
	f.StringVar(&u.undo, "undo", "", "take a run back, the last one by default: packages and files that it changed")
	f.Lookup("resume").NoOptDefVal, f.Lookup("undo").NoOptDefVal = "last", "last"
	must(cmd.RegisterFlagCompletionFunc("on-failure", choices("keep", "undo")))
	return cmd
}

func (u *updateFlags) do(cmd *cobra.Command, a *app, args []string) error {
	records, err := openHistory(u.records)
	if err != nil {
		return err
	}
	up := servers.Update{Action: servers.ActionUpdate, Batches: u.batch, Reason: u.reason, By: whoAmI()}
	if u.resume != "" || u.undo != "" {
		err = u.setEarlierRun(&up, records)
	} else {
		up.Job, err = u.job()
	}
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = up.Targets()
	}
	if len(args) == 0 {
		return usagef("say which servers: a PATTERN, or all")
	}
	g, err := u.targets(cmd.Context(), a, &up, args)
	if err != nil {
		return err
	}
	if up.Options, err = u.waves(a); err != nil {
		return err
	}
	if g.Options, err = u.serverFlags.options(a); err != nil {
		return err
	}
	r, err := g.Update(cmd.Context(), records, up)
	if err != nil {
		return err
	}
	return a.finishUpdate(r)
}

// targets returns the servers of an update. They and the servers that they are
// compared with have their logins.
func (u *updateFlags) targets(ctx context.Context, a *app, up *servers.Update, patterns []string) (*servers.Group, error) {
	inv, err := u.inventory(ctx, a, true)
	if err != nil {
		return nil, err
	}
	hosts, note, err := up.Select(inv, patterns)
	if err != nil {
		return nil, err
	}
	if note != nil {
		a.progress("note: the statement is of the servers of this run alone: %v", note)
	}
	// One call completes both, because each call asks for the passwords.
	all := slices.Concat(hosts, up.Others)
	if err := u.complete(a, all); err != nil {
		return nil, err
	}
	up.Others = all[len(hosts):]
	return &servers.Group{Hosts: all[:len(hosts)]}, nil
}

// setEarlierRun sets the run that an update resumes or undoes.
func (u *updateFlags) setEarlierRun(up *servers.Update, records *servers.History) error {
	switch {
	case u.resume != "" && u.undo != "":
		return usagef("--resume and --undo exclude each other")
	case u.changes():
		return usagef("--resume and --undo do what the earlier run says, and nothing else")
	}
	up.Action = servers.ActionResume
	if u.undo != "" {
		up.Action = servers.ActionUndo
	}
	name := u.resume + u.undo
	if name == "last" {
		name = ""
	}
	var err error
	if up.Before, up.Job, err = records.Find(name); err != nil {
		return hint{err, "adamant servers history lists the runs"}
	}
	if len(up.Targets()) == 0 {
		return fmt.Errorf("run %d left nothing to take up", up.Before.Number)
	}
	return nil
}

// changes reports whether a flag describes a change.
func (u *updateFlags) changes() bool {
	return len(u.packages)+len(u.copies) > 0 || u.run != "" || u.script != ""
}

// job returns the job that the flags describe.
func (u *updateFlags) job() (servers.Job, error) {
	j := servers.Job{Run: u.run, UndoRun: u.undoRun, Save: u.save, Timeout: u.timeout, Confirm: u.confirm}
	if u.timeout <= 0 || u.confirm < 0 {
		return j, usagef("--timeout must be more than nothing, and --confirm not less")
	}
	if !u.changes() {
		return j, usagef("there is nothing to change: say --package, --copy, --run or --script")
	}
	for _, text := range u.packages {
		p, err := servers.ParsePackageSpec(text)
		if err != nil {
			return j, usageError{fmt.Errorf("--package %w", err)}
		}
		j.Packages = append(j.Packages, p)
	}
	for _, text := range u.copies {
		spec, err := servers.ParseCopySpec(text)
		if err != nil {
			return j, usageError{fmt.Errorf("--copy %w", err)}
		}
		c, err := spec.Load()
		if err != nil {
			return j, err
		}
		j.Copies = append(j.Copies, c)
	}
	for _, dir := range u.save {
		if err := servers.CheckSaveDir(dir); err != nil {
			return j, usageError{fmt.Errorf("--save %w", err)}
		}
	}
	var err error
	if u.script != "" {
		j.Script, err = os.ReadFile(u.script)
	}
	return j, err
}

// waves returns the options for the order of the servers and for failures.
func (u *updateFlags) waves(a *app) (servers.UpdateOptions, error) {
	o := servers.UpdateOptions{
		Parallel: u.parallel, Revert: u.onFailure == "undo",
		OnResult: func(r servers.Result) { a.progress("%s", report.UpdateProgress(r)) },
	}
	if u.onFailure != "keep" && u.onFailure != "undo" {
		return o, usagef("--on-failure %q: want keep or undo", u.onFailure)
	}
	var err error
	if o.Batches, err = servers.ParseBatches(u.batch); err != nil {
		return o, usageError{fmt.Errorf("--batch %w", err)}
	}
	if o.MaxFailures, err = servers.ParseShare(u.maxFailures); err != nil {
		return o, usageError{fmt.Errorf("--max-failures %w", err)}
	}
	return o, nil
}

// whoAmI returns user@host. The user is the one who called sudo, if any.
func whoAmI() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); err == nil && name == "" {
		name = u.Username
	}
	host, _ := os.Hostname() // the record only lacks a name without it
	return name + "@" + host
}

// finishUpdate prints a run and ends the command with the exit code of its worst
// outcome.
func (a *app) finishUpdate(r servers.Record) error {
	if err := a.print(report.NewServerUpdate(r)); err != nil {
		return err
	}
	worst := r.Worst()
	if worst != "" && r.Action != servers.ActionUndo && !a.json() {
		a.progress("hint: adamant servers update --resume takes up what failed, --undo takes all of it back; run %d, see adamant servers history %d", r.Number, r.Number)
	}
	if code := exitOfOutcome[worst]; code != 0 {
		return status(code)
	}
	if r.Incomplete {
		return exitWith(report.Incomplete)
	}
	return nil
}
