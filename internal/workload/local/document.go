package local

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A Document is the document of `status -o json`: a workload with its instances.
type Document struct {
	document.Header
	Workload Status `json:"workload"`
}

// NewDocument returns the document of a workload.
func NewDocument(s Status) Document { return Document{document.NewHeader(document.Workload), s} }

// Verdict returns Findings if the rollout was rolled back or failed, or instances are
// compromised.
func (d Document) Verdict() report.Verdict {
	switch d.Workload.Phase {
	case rollout.RolledBack, rollout.RollingBack, rollout.Failed:
		return report.Findings
	}
	if d.Workload.Compromised > 0 {
		return report.Findings
	}
	return report.Clean
}

// WriteText implements report.Text.
func (d Document) WriteText(w io.Writer, _ bool) error {
	s, b := d.Workload, bufio.NewWriter(w)
	d.writeHead(b, func(digest string) string { return text.Cut(digest, 19) })
	table := text.NewTable(b)
	fmt.Fprintln(table, "  INSTANCE\tGENERATION\tPHASE\tADDRESS\tDRIFT\tCRASHES\tAGE\tLAST")
	for _, i := range s.Instances {
		fmt.Fprintf(table, "  %s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\n", i.Name, i.Generation, i.phaseText(), text.OrDash(i.IP), i.drift(), i.Crashes,
			text.Age(time.Since(i.Made)), i.lastMessage())
	}
	table.Flush() // b keeps the error
	return b.Flush()
}

// writeHead writes what is above the instances. b keeps the error.
func (d Document) writeHead(b *bufio.Writer, shorten func(digest string) string) {
	s := d.Workload
	fmt.Fprintf(b, "%s %s/%s  %s, generation %d, %s\n", s.Kind, s.Namespace, s.Name, s.phase(), s.Generation, s.of())
	for _, line := range []struct{ name, text string }{{"reason", s.Reason}, {"waiting for", s.Waiting}, {"traffic", s.traffic()}} {
		if line.text != "" {
			fmt.Fprintf(b, "  %s: %s\n", line.name, text.EscapeLines(line.text))
		}
	}
	for _, i := range s.Images {
		fmt.Fprintf(b, "  image: %s %s (%s)\n", i.For, text.EscapeLines(i.Image), shorten(i.Digest))
	}
	for _, svc := range s.Services {
		at := text.OrDash(svc.Address)
		if svc.ClusterIP != "" {
			at += ", cluster IP " + svc.ClusterIP
		}
		fmt.Fprintf(b, "  service: %s at %s, %d requests, %d errors\n", svc.Name, at, svc.Requests, svc.Errors)
		if svc.Err != "" {
			fmt.Fprintf(b, "    not open: %s\n", text.EscapeLines(svc.Err))
		}
	}
	for _, i := range s.Ingresses {
		fmt.Fprintf(b, "  ingress: %s, %s\n", i.Name, cmp.Or(i.urls(), "not open"))
		if i.Err != "" {
			fmt.Fprintf(b, "    not served whole: %s\n", text.EscapeLines(i.Err))
		}
	}
}

// phaseText returns the phase with the reason why a container waits.
func (i InstanceStatus) phaseText() string {
	if i.Waiting == "" {
		return i.Phase
	}
	return i.Phase + " (" + i.Waiting + ")"
}

// A WorkloadList is the document of `get -o json` and `apply --wait -o json`.
type WorkloadList struct {
	document.List[Status]
	PassedOver []manifest.Other `json:"passedOver,omitempty"` // objects of the manifest that was applied without a meaning on this machine
}

// NewWorkloadList returns the document of several workloads.
func NewWorkloadList(list []Status) WorkloadList {
	return WorkloadList{List: document.NewList(document.WorkloadList, list)}
}

// Verdict returns Findings if instances of a workload are compromised.
func (l WorkloadList) Verdict() report.Verdict {
	for _, s := range l.Items {
		if s.Compromised > 0 {
			return report.Findings
		}
	}
	return report.Clean
}

// RolloutVerdict returns Findings if a rollout did not complete.
func (l WorkloadList) RolloutVerdict() report.Verdict {
	for _, s := range l.Items {
		if s.Phase != rollout.Complete {
			return report.Findings
		}
	}
	return report.Clean
}

// WriteText implements report.Text.
func (l WorkloadList) WriteText(w io.Writer, _ bool) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tNAMESPACE\tKIND\tREADY\tUPDATED\tGENERATION\tPHASE\tADDRESS\tREASON")
	for _, s := range l.Items {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", s.Name, s.Namespace, s.Kind, s.ready(), s.Updated,
			s.Generation, s.phase(), text.OrDash(s.address()), text.EscapeLines(text.Cut(s.remark(), 60)))
	}
	return table.Flush()
}

// HistoryDocument is the document of `rollout history -o json`.
type HistoryDocument struct {
	document.Header
	History History `json:"history"`
}

// NewHistoryDocument returns the document of a history.
func NewHistoryDocument(h History) HistoryDocument {
	return HistoryDocument{document.NewHeader(document.History), h}
}

// WriteText implements report.Text.
func (d HistoryDocument) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	images := map[int]string{}
	for _, g := range d.History.Generations {
		for i, p := range g.Images {
			if i > 0 {
				images[g.Number] += ","
			}
			images[g.Number] += p.Image
		}
	}
	table := text.NewTable(b)
	fmt.Fprintln(table, "ROLLOUT\tGENERATION\tIMAGES\tBY\tCAUSE\tBEGAN\tTOOK\tOUTCOME\tREASON")
	for _, r := range d.History.Rollouts {
		took := "-"
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Began).Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Number, r.Generation, text.OrDash(text.EscapeLines(images[r.Generation])), text.EscapeLines(r.By.String()), r.Cause,
			r.Began.Local().Format(time.DateTime), took, r.Outcome, text.EscapeLines(text.Cut(text.FirstLine(r.Reason), 80)))
	}
	table.Flush() // b keeps the error
	fmt.Fprintln(b)
	for _, e := range d.History.Events {
		fmt.Fprintf(b, "%s  %-13s %s\n", e.Time.Local().Format(time.DateTime), e.Reason, text.EscapeLines(text.FirstLine(e.Message)))
	}
	return b.Flush()
}

// OutcomeDocument is the document of `apply -o json` and `diff -o json`.
type OutcomeDocument struct {
	document.Header
	Outcome

	dry bool
}

// NewOutcomeDocument returns the document of an Apply, which may have been dry.
func NewOutcomeDocument(o Outcome, dry bool) OutcomeDocument {
	return OutcomeDocument{document.NewHeader(document.ApplyResult), o, dry}
}

// Verdict returns Incomplete if an object with pods was passed over, and Findings if a
// dry run found a difference, or a generation that failed is not tried again.
func (d OutcomeDocument) Verdict() report.Verdict {
	if v := d.Completeness(); v != report.Clean {
		return v
	}
	for _, r := range d.Results {
		if d.dry && r.Action != Unchanged || r.Action == NotRetried {
			return report.Findings
		}
	}
	return report.Clean
}

// Completeness returns Incomplete if an object with pods was passed over.
func (o Outcome) Completeness() report.Verdict {
	if manifest.HavePods(o.PassedOver) {
		return report.Incomplete
	}
	return report.Clean
}

// verb returns what was done to an object or, in a dry run, would be.
func (a Action) verb(dry bool) string {
	switch {
	case !dry || a == Unchanged:
		return string(a)
	case a == NotRetried:
		return "would not be retried"
	}
	return "would be " + string(a)
}

// WriteText implements report.Text. It leaves out the notes, which are not part of
// the result.
func (d OutcomeDocument) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	for _, r := range d.Results {
		fmt.Fprintf(b, "%s/%s %s", r.Kind, r.Name, r.Action.verb(d.dry))
		if r.Generation != 0 && (r.Action == Created || r.Action == Replaced) {
			fmt.Fprintf(b, ": generation %d", r.Generation)
		}
		fmt.Fprintln(b)
		for _, c := range r.Changes {
			fmt.Fprintln(b, "  "+text.EscapeLines(c))
		}
	}
	return b.Flush()
}
