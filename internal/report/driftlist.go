package report

import (
	"io"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
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
	for _, r := range l.results {
		changed = changed || r.Len() > 0
		unknown = unknown || r.UnknownLen() > 0
	}
	return verdictOf(changed, unknown)
}

// WriteText implements Text.
func (l DriftReportList) WriteText(w io.Writer, color bool) error {
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
