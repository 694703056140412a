package report

import (
	"fmt"
	"io"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// ServerUpdate is the document of `servers update -o json` and of
// `servers history RUN -o json`.
type ServerUpdate struct {
	document.Header
	servers.Record
}

// NewServerUpdate returns the document of a run. Its text has a line for each
// server; that of a ServerRun has every change.
func NewServerUpdate(r servers.Record) ServerUpdate {
	return ServerUpdate{document.NewHeader(document.ServerUpdate), r}
}

// verdictOfOutcome has the verdict of an update by its worst outcome.
var verdictOfOutcome = map[servers.Outcome]Verdict{
	servers.Unreachable: Unreachable, servers.Unchanged: Unchanged, servers.HalfChanged: HalfChanged, servers.RolledBack: RolledBack, servers.NotBegun: NotBegun,
}

// Verdict returns the verdict of the worst outcome of a server. If all succeeded, it
// returns Incomplete if something could not be read or compared.
func (u ServerUpdate) Verdict() Verdict {
	if v, failed := verdictOfOutcome[u.Worst()]; failed {
		return v
	}
	return verdictOf(false, u.Incomplete)
}

// WriteText implements Text.
func (u ServerUpdate) WriteText(w io.Writer, _ bool) error {
	l := newLineWriter(w)
	for _, r := range u.Results {
		l.printf("%s", resultText(r))
	}
	if u.Stopped != "" {
		l.printf("stopped: %s", oneLine(u.Stopped))
	}
	l.printf("%s", oneLine(u.Statement))
	return l.Flush()
}

func resultText(r servers.Result) string {
	s := fmt.Sprintf("%s: %s", r.Server, r.Outcome)
	if r.Failed && r.Outcome == servers.Unchanged {
		s += ", and failed"
	}
	for _, changed := range []struct {
		n    int
		noun string
	}{{len(r.Change.Facts), "setting"}, {r.Change.Count, "file"}} {
		if changed.n > 0 {
			s += ", " + text.Count(changed.n, changed.noun)
		}
	}
	if r.Reboot != nil && !r.Reboot.Ended.IsZero() {
		s += fmt.Sprintf(", rebooted in %v", r.Reboot.Ended.Sub(r.Reboot.Began).Round(time.Second))
		if r.Reboot.NoUnits != "" {
			s += "; units were not compared: " + oneLine(r.Reboot.NoUnits)
		}
	}
	if r.Cause != "" {
		s += "; " + oneLine(r.Cause)
	}
	return s
}

// UpdateProgress returns a line with the result of one server, to be shown while
// others are being changed. It is not escaped.
func UpdateProgress(r servers.Result) string {
	s := fmt.Sprintf("wave %d: %s %s", r.Wave, r.Server, r.Outcome)
	if r.Failed && r.Outcome == servers.Unchanged {
		s += ", failed"
	}
	if r.Cause != "" {
		s += ": " + oneLine(r.Cause)
	}
	return s
}

// UpdateContinues returns a line about a server that continues after the run was ended.
// It is not escaped.
func UpdateContinues(r servers.Result, confirm time.Duration) string {
	state := "the change may have begun"
	if r.Change.Stage != "" {
		state = "it was " + string(r.Change.Stage)
	}
	if confirm > 0 {
		state += fmt.Sprintf(", and it takes the change back unless that is confirmed within %v after its end", confirm)
	}
	return fmt.Sprintf("%s continues by itself: %s; adamant servers update --resume asks for the result", r.Server, state)
}
