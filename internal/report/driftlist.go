package report

import (
	"bufio"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/text"
)

// DriftReportList is the document of `drift -o json`.
type DriftReportList struct {
	document.List[DriftReport]

	results []inspect.Result
	options DriftOptions
}

// NewDriftReportList returns the document of several instances. The options are
// those of its text.
func NewDriftReportList(results []inspect.Result, o DriftOptions) DriftReportList {
	var reports []DriftReport
	for _, r := range results {
		reports = append(reports, NewDriftReport(r.Name, r.Report))
	}
	return DriftReportList{document.NewList(document.DriftReportList, reports), results, o}
}

// Verdict returns Incomplete if something could not be compared, and Findings if
// something differs.
func (l DriftReportList) Verdict() Verdict {
	changed, unknown := false, false
	for _, r := range l.Items {
		changed = changed || r.Summary.Changes > 0
		unknown = unknown || r.Summary.Unknowns > 0
	}
	return verdictOf(changed, unknown)
}

// WriteText implements Text.
func (l DriftReportList) WriteText(w io.Writer, color bool) error {
	if len(l.results) == 0 {
		return l.writeReports(w)
	}
	l.options.color = color
	for _, r := range l.results {
		if err := Drift(w, r.Name, r.Report, l.options); err != nil {
			return err
		}
	}
	return nil
}

func (l DriftReportList) writeFitted(w io.Writer, color bool, columns int) error {
	return wrap(l, w, color, columns)
}

// DriftReportsOf returns the document of reports that another process made.
func DriftReportsOf(reports []DriftReport) DriftReportList {
	return DriftReportList{List: document.NewList(document.DriftReportList, reports)}
}

// writeReports writes what the reports list, of which nothing else is known.
func (l DriftReportList) writeReports(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, r := range l.Items {
		fmt.Fprintf(b, "%s: %s, %d unknown\n", text.EscapeLines(r.Name), text.Count(r.Summary.Changes, "change"), r.Summary.Unknowns)
		for _, c := range r.Changes {
			fmt.Fprintf(b, "  %-8s  %-7s  %s  %s\n", c.Severity, c.Kind, text.Escape(c.Path), text.EscapeLines(c.Reason))
		}
		for _, u := range r.Unknowns {
			fmt.Fprintf(b, "  unknown   %s: %s\n", text.Escape(u.Path), text.EscapeLines(u.Reason))
		}
	}
	return b.Flush()
}

// Public returns the report without content of files: text, targets of links, values of
// attributes, and command lines.
func (r DriftReport) Public() DriftReport {
	for _, list := range [][]DriftChange{r.Changes, r.Programs} {
		for i := range list {
			c := &list[i]
			c.Diff, c.Detail = "", ""
			for _, e := range []**DriftEntry{&c.Want, &c.Got} {
				if *e != nil {
					public := **e
					public.Target, public.Xattrs, public.Digest = "", nil, ""
					*e = &public
				}
			}
		}
	}
	return r
}
