package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/servers"
)

// serversMetrics writes a comparison in the text format of Prometheus, for the
// textfile collector of its node exporter. It has the time, so that an alert can
// find comparisons that have stopped.
func serversMetrics(w io.Writer, c servers.Comparison, at time.Time) error {
	var b strings.Builder
	metric := func(name, help string) {
		fmt.Fprintf(&b, "# HELP adamant_servers_%s %s\n# TYPE adamant_servers_%[1]s gauge\n", name, help)
	}
	metric("causes", "Causes by which a server deviates from most, or from the baseline.")
	for _, name := range c.Servers {
		n := 0
		for _, cause := range c.Causes {
			if slices.Contains(cause.Odd, name) {
				n++
			}
		}
		fmt.Fprintf(&b, "adamant_servers_causes{server=%s} %d\n", label(name), n)
	}
	metric("unknown", "Paths of a server that could not be read.")
	for _, name := range c.Servers {
		fmt.Fprintf(&b, "adamant_servers_unknown{server=%s} %d\n", label(name), len(c.Unknowns[name]))
	}
	metric("reached", "Whether a server was reached.")
	for _, name := range c.Servers {
		fmt.Fprintf(&b, "adamant_servers_reached{server=%s} 1\n", label(name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Unreached)) {
		fmt.Fprintf(&b, "adamant_servers_reached{server=%s} 0\n", label(name))
	}
	metric("alarms", "Identities that servers share.")
	fmt.Fprintf(&b, "adamant_servers_alarms %d\n", len(c.Alarms))
	metric("compared_timestamp_seconds", "When the servers were compared.")
	fmt.Fprintf(&b, "adamant_servers_compared_timestamp_seconds %d\n", at.Unix())
	_, err := io.WriteString(w, b.String())
	return err
}

// label quotes a label's value.
func label(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
