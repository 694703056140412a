package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/servers"
)

// ServersFiles are the files that other programs read a comparison from. One that
// has no name is not written.
type ServersFiles struct {
	Metrics     string // for Prometheus
	OpenReports string // an OpenReport, as JSON
}

// Write replaces the files. Each is whole at any time.
func (f ServersFiles) Write(c servers.Comparison, at time.Time) error {
	if f.Metrics != "" {
		err := durable.Write(f.Metrics, 0o644, func(w io.Writer) error { return serversMetrics(w, c, at) })
		if err != nil {
			return err
		}
	}
	if f.OpenReports == "" {
		return nil
	}
	text, err := json.MarshalIndent(serversOpenReport(c, at), "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(f.OpenReports, append(text, '\n'), 0o644)
}
