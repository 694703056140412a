package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

func newServersHistoryCommand(a *app) *cobra.Command {
	var records string
	cmd := &cobra.Command{
		Use:   "history [RUN]",
		Short: "Show what was changed on servers, why and by whom",
		Long: `History lists the runs of update from this machine, or tells all of one by its
number or id. Each record has the digest of the one before it: history exits 3 if
one was edited or taken out.`,
		Example: `  adamant servers history
  adamant servers history 7
  adamant servers history -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			history, err := openHistory(records)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				r, _, err := history.Find(args[0])
				if err != nil {
					return hint{err, "adamant servers history lists the runs"}
				}
				return a.printRecord(r)
			}
			list, broken, err := history.Records()
			if err != nil {
				return err
			}
			return a.printRecords(list, broken)
		},
	}
	cmd.Flags().StringVar(&records, "records", "", "directory of the records, also $ADAMANT_RECORDS (default ~/.local/state/adamant/servers)")
	return cmd
}

func (a *app) printRecords(list []servers.Record, broken []servers.BrokenRecord) error {
	if a.json() {
		if list == nil {
			list = []servers.Record{}
		}
		if err := a.printJSON(report.ServerHistory{Header: document.NewHeader(document.ServerHistory), Items: list, Broken: broken}); err != nil {
			return err
		}
	} else {
		w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "RUN\tACTION\tWHAT\tBY\tBEGAN\tTOOK\tSERVERS\tRESULT")
		for _, r := range list {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.Number, r.Action, text.EscapeLines(clip(strings.Join(r.What, ", "), 60)), text.EscapeLines(r.By),
				r.Began.Local().Format(time.DateTime), r.Ended.Sub(r.Began).Round(time.Second), len(r.Results), text.EscapeLines(clip(r.Statement, 100)))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for _, b := range broken {
			fmt.Fprintf(a.out, "BROKEN %s: %s\n", b.File, text.EscapeLines(b.Why))
		}
	}
	if len(broken) > 0 {
		return exitWith(report.Findings)
	}
	return nil
}

func clip(s string, most int) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func (a *app) printRecord(r servers.Record) error {
	if a.json() {
		return a.printJSON(report.ServerUpdate{Header: document.NewHeader(document.ServerUpdate), Record: r})
	}
	fmt.Fprintf(a.out, "run %d (%s), %s by %s, %s\n", r.Number, r.ID, r.Action, text.EscapeLines(r.By), r.Began.Local().Format(time.DateTime))
	if r.Reason != "" {
		fmt.Fprintln(a.out, text.EscapeLines("why: "+clip(r.Reason, 500)))
	}
	for _, w := range r.What {
		fmt.Fprintln(a.out, text.EscapeLines("what: "+clip(w, 500)))
	}
	for _, res := range r.Results {
		fmt.Fprintln(a.out)
		a.printChange(res)
	}
	fmt.Fprintln(a.out, "\n"+text.EscapeLines(r.Statement))
	return nil
}

// listed bounds the facts and files of a server that are shown.
const listed = 30

func (a *app) printChange(res servers.Result) {
	fmt.Fprintln(a.out, text.EscapeLines(fmt.Sprintf("%s: %s", res.Server, res.Outcome)))
	if res.Cause != "" {
		fmt.Fprintln(a.out, text.EscapeLines("  "+oneLine(res.Cause)))
	}
	for i, f := range res.Change.Facts {
		if i == listed {
			fmt.Fprintf(a.out, "  … and %d more\n", len(res.Change.Facts)-i)
			break
		}
		fmt.Fprintln(a.out, text.EscapeLines(fmt.Sprintf("  %s %s: %s -> %s", f.Section, f.Key, orDash(f.Before), orDash(f.After))))
	}
	shown := 0
	for _, f := range res.Change.Files {
		if f.Derived {
			continue
		}
		if shown++; shown > listed {
			fmt.Fprintf(a.out, "  … %d files in all\n", res.Change.Count)
			break
		}
		mark := "~"
		switch {
		case f.Before == "":
			mark = "+"
		case f.After == "":
			mark = "-"
		}
		fmt.Fprintln(a.out, text.EscapeLines("  "+mark+" "+f.Path))
	}
	a.printLeft(res.Change.Undo)
}

// printLeft lists the changes that could not be undone.
func (a *app) printLeft(u *servers.Undo) {
	if u == nil {
		return
	}
	for i, left := range u.Left {
		if i == listed {
			fmt.Fprintf(a.out, "  … and %d more\n", u.LeftCount-i)
			break
		}
		fmt.Fprintln(a.out, text.EscapeLines("  not as it was: "+left))
	}
}
