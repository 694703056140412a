// Package event describes what happened to workloads, and delivers it to a file and to
// a webhook. It does not know how workloads are kept: a Log holds the events.
package event

import (
	"fmt"
	"io"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/text"
)

// An Event is something that happened to a workload, or to the daemon. It is a document:
// each line of `events --watch -o json` and of an events file, and each item of what a
// webhook gets.
type Event struct {
	document.Header
	Sequence   uint64    `json:"sequence"` // in the log of the data directory, without gaps; the same event has the same number wherever it is delivered
	Time       time.Time `json:"time"`
	Severity   Severity  `json:"severity"`
	Object     Object    `json:"object"`
	Generation int       `json:"generation,omitempty"` // that the rollout moved to at that time
	Pod        string    `json:"pod,omitempty"`        // name of the instance, if the event is about one
	Reason     string    `json:"reason"`               // one word: Complete, RolledBack, Drifted, Crashed
	Message    string    `json:"message"`
}

// An Object is what an event is about.
type Object struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"` // "Deployment", or "Daemon" with an empty namespace
	Name      string `json:"name"`
}

// String returns "default/Deployment/web".
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Namespace + "/" + o.Kind + "/" + o.Name
}

// Daemon is the object of events that are about no workload.
var Daemon = Object{Kind: "Daemon", Name: "adamant"}

// A Severity says how much attention an event needs.
type Severity string

const (
	Info    Severity = "info"
	Warning Severity = "warning" // may need attention
	Error   Severity = "error"   // needs attention: a rollout did not complete, or something was changed
)

// severities are those of reasons other than Info.
var severities = map[string]Severity{
	"BaselineUnknown": Warning, "Crashed": Warning, "Ended": Warning, "EventsLost": Warning, "FailedCreate": Warning, "Inconclusive": Warning,
	"MissSchedule": Warning, "MissingJob": Warning, "NoEvidence": Warning, "RollingBack": Warning, "TooManyMissedTimes": Warning,
	"BackoffLimitExceeded": Error, "BaselineChanged": Error, "DeadlineExceeded": Error, "DriftBudget": Error, "Drifted": Error, "Failed": Error,
	"FailedIndexes": Error, "MaxFailedIndexesExceeded": Error, "PodFailurePolicy": Error, "RolledBack": Error,
}

// SeverityOf returns the severity of a reason.
func SeverityOf(reason string) Severity {
	if s := severities[reason]; s != "" {
		return s
	}
	return Info
}

// maxMessage is the length limit of a message. Parts of some come from containers.
const maxMessage = 4 << 10

// New returns an event of this moment.
func New(o Object, reason, message string) Event {
	return Event{
		Header: document.NewHeader(document.Event), Time: time.Now().UTC(), Severity: SeverityOf(reason), Object: o,
		Reason: reason, Message: text.Cut(message, maxMessage),
	}
}

// WriteText writes the event as one line.
func (e Event) WriteText(w io.Writer, _ bool) error {
	_, err := fmt.Fprintf(w, "%s  %-7s  %s  %-13s %s\n", e.Time.Local().Format(time.DateTime), e.Severity, text.EscapeLines(e.Object.String()),
		e.Reason, text.EscapeLines(text.FirstLine(e.Message)))
	return err
}

// A List is the document of `events -o json`.
type List struct {
	document.List[Event]
}

// NewList returns the document of several events.
func NewList(list []Event) List { return List{document.NewList(document.EventList, list)} }

// WriteText implements report.Text.
func (l List) WriteText(w io.Writer, color bool) error {
	for _, e := range l.Items {
		if err := e.WriteText(w, color); err != nil {
			return err
		}
	}
	return nil
}
