package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/waves"
	"github.com/adamant-sh/adamant/internal/text"
)

// Exit codes of an update, by the outcome that weighs most.
var exitOfOutcome = map[waves.Outcome]int{
	"": int(report.Clean), waves.Unreachable: 5, waves.Unchanged: 6, waves.HalfChanged: 7, waves.RolledBack: 8, waves.NotBegun: 9,
}

// updateFlags are what is to be changed, and how.
type updateFlags struct {
	which
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
	history, err := openHistory(u.records)
	if err != nil {
		return err
	}
	r := &waves.Record{ID: newRunID(), Began: time.Now(), By: whoAmI(), Reason: u.reason, Action: waves.Update, Batches: u.batch}
	var job change.Job
	var before waves.Record
	if u.resume != "" || u.undo != "" {
		before, job, err = u.earlier(cmd, history)
	} else {
		job, err = u.job()
	}
	if err != nil {
		return err
	}
	job.ID = r.ID
	if len(args) == 0 && before.ID == "" {
		return usagef("say which servers: a PATTERN, or all")
	}
	hosts, others, err := u.meant(cmd.Context(), a, u.patterns(args, before), before)
	if err != nil {
		return err
	}
	o, err := u.options(a)
	if err != nil {
		return err
	}
	fl, err := a.newServerFleet(&u.which, append(hosts, others...))
	if err != nil {
		return err
	}
	r.What = waves.Describe(job)
	for _, h := range hosts {
		r.Results = append(r.Results, waves.Result{Server: h.Name})
	}
	for _, h := range others {
		r.Others = append(r.Others, h.Name)
	}
	switch {
	case u.resume != "":
		r.Action, r.Of = waves.Resume, before.ID
	case u.undo != "":
		r.Action, r.Of = waves.Revert, before.ID
	}
	run, err := history.Begin(r, job)
	if err != nil {
		return err
	}
	if r.Action == waves.Revert {
		err = waves.Undo(cmd.Context(), fl, before, o, r, run.Save)
	} else {
		err = waves.Run(cmd.Context(), fl, job, o, r, run.Save)
	}
	if err != nil && r.Stopped == "" {
		r.Stopped = err.Error()
	}
	if err := errors.Join(err, run.End()); err != nil {
		return err
	}
	return a.printRun(*r)
}

// meant are the servers of the patterns and, to resume a run, the others that it
// changed as asked for, with which they are compared.
func (u *updateFlags) meant(ctx context.Context, a *app, patterns []string, before waves.Record) (hosts, others []inventory.Host, err error) {
	named, err := u.selected(ctx, a, patterns)
	if err != nil {
		return nil, nil, err
	}
	isNamed := func(name string) bool {
		return slices.ContainsFunc(named, func(h inventory.Host) bool { return h.Name == name })
	}
	all := named
	if rest := slices.DeleteFunc(before.Succeeded(), isNamed); u.resume != "" && len(rest) > 0 {
		if all, err = u.selected(ctx, a, append(slices.Clone(patterns), rest...)); err != nil {
			a.progress("note: the statement is of the servers of this run alone: %v", err)
			all = named
		}
	}
	if err := u.complete(a, all); err != nil {
		return nil, nil, err
	}
	for _, h := range all {
		if isNamed(h.Name) {
			hosts = append(hosts, h)
		} else {
			others = append(others, h)
		}
	}
	return hosts, others, nil
}

// patterns are those given, or else the servers of the run that is taken up: what
// failed of it to resume, what was changed to undo.
func (u *updateFlags) patterns(args []string, before waves.Record) []string {
	if len(args) > 0 || before.ID == "" {
		return args
	}
	var names []string
	for _, res := range before.Results {
		if u.resume != "" && !res.Succeeded() || u.undo != "" && res.CanUndo() {
			names = append(names, res.Server)
		}
	}
	return names
}

func (u *updateFlags) earlier(cmd *cobra.Command, history *waves.History) (waves.Record, change.Job, error) {
	var r waves.Record
	var job change.Job
	switch {
	case u.resume != "" && u.undo != "":
		return r, job, usagef("--resume and --undo exclude each other")
	case u.changes():
		return r, job, usagef("--resume and --undo do what the earlier run says, and nothing else")
	}
	name := u.resume + u.undo
	if name == "last" {
		name = ""
	}
	r, job, err := history.Find(name)
	if err != nil {
		return r, job, hint{err, "adamant servers history lists the runs"}
	}
	if len(u.patterns(nil, r)) == 0 {
		return r, job, fmt.Errorf("run %d left nothing to take up", r.Number)
	}
	return r, job, nil
}

func (u *updateFlags) changes() bool {
	return len(u.packages)+len(u.copies) > 0 || u.run != "" || u.script != ""
}

// job is what the flags ask for.
func (u *updateFlags) job() (change.Job, error) {
	j := change.Job{Run: u.run, UndoRun: u.undoRun, Save: u.save, Timeout: u.timeout, Confirm: u.confirm}
	if u.timeout <= 0 || u.confirm < 0 {
		return j, usagef("--timeout must be more than nothing, and --confirm not less")
	}
	if !u.changes() {
		return j, usagef("there is nothing to change: say --package, --copy, --run or --script")
	}
	for _, text := range u.packages {
		p, err := change.ParsePackageSpec(text)
		if err != nil {
			return j, usageError{fmt.Errorf("--package %w", err)}
		}
		j.Packages = append(j.Packages, p)
	}
	for _, text := range u.copies {
		from, to, ok := strings.Cut(text, ":")
		if !ok || from == "" || !path.IsAbs(to) {
			return j, usagef("--copy %q: want FILE:PATH with an absolute PATH", text)
		}
		info, err := os.Stat(from)
		if err != nil {
			return j, err
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return j, err
		}
		if strings.HasSuffix(to, "/") {
			to = path.Join(to, filepath.Base(from))
		}
		j.Copies = append(j.Copies, change.Copy{Path: path.Clean(to), Mode: uint32(info.Mode().Perm()), Content: content})
	}
	for _, dir := range u.save {
		if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" {
			return j, usagef("--save %q: want an absolute path of a directory", dir)
		}
	}
	var err error
	if u.script != "" {
		j.Script, err = os.ReadFile(u.script)
	}
	return j, err
}

func (u *updateFlags) options(a *app) (waves.Options, error) {
	o := waves.Options{Parallel: u.parallel, Revert: u.onFailure == "undo", OnResult: a.printResult}
	if u.onFailure != "keep" && u.onFailure != "undo" {
		return o, usagef("--on-failure %q: want keep or undo", u.onFailure)
	}
	var err error
	if o.Batches, err = waves.ParseBatches(u.batch); err != nil {
		return o, usageError{fmt.Errorf("--batch %w", err)}
	}
	if o.MaxFailures, err = waves.ParseShare(u.maxFailures); err != nil {
		return o, usageError{fmt.Errorf("--max-failures %w", err)}
	}
	return o, nil
}

// openHistory opens the records of this user.
func openHistory(dir string) (*waves.History, error) {
	dir, err := recordsDir(dir)
	if err != nil {
		return nil, err
	}
	return waves.OpenHistory(dir)
}

// recordsDir is where records are, if not in a directory that was named.
func recordsDir(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if dir := os.Getenv("ADAMANT_RECORDS"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", hint{fmt.Errorf("find the home directory: %w", err), "name a directory with --records"}
	}
	return filepath.Join(home, ".local", "state", "adamant", "servers"), nil
}

func newRunID() string {
	b := make([]byte, 3)
	rand.Read(b)
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(b)
}

// whoAmI is the user, also behind sudo, and the machine.
func whoAmI() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); err == nil && name == "" {
		name = u.Username
	}
	host, _ := os.Hostname() // a name that cannot be had is left out
	return name + "@" + host
}

// printResult tells of one server while others go on.
func (a *app) printResult(r waves.Result) {
	line := fmt.Sprintf("wave %d: %s %s", r.Wave, r.Server, r.Outcome)
	if r.Failed && r.Outcome == waves.Unchanged {
		line += ", failed"
	}
	if r.Cause != "" {
		line += ": " + oneLine(r.Cause)
	}
	a.progress("%s", line)
}

func (a *app) printRun(r waves.Record) error {
	if a.json() {
		if err := a.printJSON(report.ServerUpdate{Header: document.NewHeader(document.ServerUpdate), Record: r}); err != nil {
			return err
		}
	} else {
		a.printRunText(r)
	}
	if code := exitOfOutcome[r.Worst()]; code != 0 {
		return status(code)
	}
	if r.Incomplete {
		return exitWith(report.Incomplete)
	}
	return nil
}

// oneLine keeps a server's words from looking like lines of ours.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

func (a *app) printRunText(r waves.Record) {
	for _, res := range r.Results {
		line := fmt.Sprintf("%s: %s", res.Server, res.Outcome)
		if res.Failed && res.Outcome == waves.Unchanged {
			line += ", and failed"
		}
		for _, n := range []struct {
			n    int
			what string
		}{{len(res.Change.Facts), "setting"}, {res.Change.Count, "file"}} {
			switch {
			case n.n == 1:
				line += ", 1 " + n.what
			case n.n > 1:
				line += fmt.Sprintf(", %d %ss", n.n, n.what)
			}
		}
		if res.Cause != "" {
			line += "; " + oneLine(res.Cause)
		}
		fmt.Fprintln(a.out, text.EscapeLines(line))
	}
	if r.Stopped != "" {
		fmt.Fprintln(a.out, text.EscapeLines("stopped: "+oneLine(r.Stopped)))
	}
	fmt.Fprintln(a.out, text.EscapeLines(oneLine(r.Statement)))
	if r.Worst() != "" && r.Action != waves.Revert {
		a.progress("hint: adamant servers update --resume takes up what failed, --undo takes all of it back; run %d, see adamant servers history %d", r.Number, r.Number)
	}
}
