package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// ServerHistory is the document of `servers history -o json`.
type ServerHistory struct {
	document.Header
	Items  []servers.Record       `json:"items"`            // the oldest first
	Broken []servers.BrokenRecord `json:"broken,omitempty"` // records that were edited or removed
}

// NewServerHistory returns the document of all runs and of the records that are
// broken.
func NewServerHistory(list []servers.Record, broken []servers.BrokenRecord) ServerHistory {
	if list == nil {
		list = []servers.Record{} // not null in JSON
	}
	return ServerHistory{document.NewHeader(document.ServerHistory), list, broken}
}

// Verdict returns Findings if a record was edited or removed.
func (h ServerHistory) Verdict() Verdict { return verdictOf(len(h.Broken) > 0, false) }

// WriteText implements Text.
func (h ServerHistory) WriteText(w io.Writer, _ bool) error {
	t := text.NewTable(w)
	fmt.Fprintln(t, "RUN\tACTION\tWHAT\tBY\tBEGAN\tTOOK\tSERVERS\tRESULT")
	for _, r := range h.Items {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.Number, r.Action, text.EscapeLines(firstLine(strings.Join(r.What, ", "), 60)), text.EscapeLines(r.By),
			r.Began.Local().Format(time.DateTime), r.Ended.Sub(r.Began).Round(time.Second), len(r.Results), text.EscapeLines(firstLine(r.Statement, 100)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	l := newLineWriter(w)
	for _, b := range h.Broken {
		l.printf("BROKEN %s: %s", b.File, b.Why)
	}
	return l.Flush()
}

// A ServerRun is a ServerUpdate whose text has every change, as `servers history
// RUN` shows it.
type ServerRun struct {
	ServerUpdate
}

// WriteText implements Text.
func (r ServerRun) WriteText(w io.Writer, _ bool) error {
	l := newLineWriter(w)
	l.printf("run %d (%s), %s by %s, %s", r.Number, r.ID, r.Action, r.By, r.Began.Local().Format(time.DateTime))
	if r.Reason != "" {
		l.printf("why: %s", firstLine(r.Reason, 500))
	}
	for _, step := range r.What {
		l.printf("what: %s", firstLine(step, 500))
	}
	for _, res := range r.Results {
		l.printf("")
		l.result(res)
	}
	l.printf("\n%s", r.Statement)
	return l.Flush()
}

// result writes the outcome of one server and its changes.
func (l lineWriter) result(r servers.Result) {
	l.printf("%s: %s", r.Server, r.Outcome)
	if r.Cause != "" {
		l.printf("  %s", oneLine(r.Cause))
	}
	if b := r.Reboot; b != nil {
		l.printf("  reboot at %s: %s", b.Began.Local().Format(time.DateTime), cmp.Or(oneLine(strings.Join(b.Reasons, "; ")), "always"))
	}
	for i, f := range r.Change.Facts {
		if i == maxListed {
			l.printf("  … and %d more", len(r.Change.Facts)-i)
			break
		}
		l.printf("  %s %s: %s -> %s", f.Section, f.Key, text.OrDash(f.Before), text.OrDash(f.After))
	}
	shown := 0
	for _, f := range r.Change.Files {
		if f.Derived {
			continue
		}
		if shown++; shown > maxListed {
			l.printf("  … %d files in all", r.Change.Count)
			break
		}
		mark := "~"
		switch {
		case f.Before == "":
			mark = "+"
		case f.After == "":
			mark = "-"
		}
		l.printf("  %s %s", mark, f.Path)
	}
	if r.Change.Undo != nil {
		l.undo(r.Change.Undo)
	}
}

// undo lists the changes that could not be undone.
func (l lineWriter) undo(u *servers.Undo) {
	for i, left := range u.Left {
		if i == maxListed {
			l.printf("  … and %d more", u.LeftCount-i)
			break
		}
		l.printf("  not as it was: %s", left)
	}
}
