package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

var compared = compare.Comparison{
	Servers: []string{"a", "b", "c"},
	Causes: []compare.Cause{
		{Kind: compare.ByPackage, Title: "package web: 1.1 on most; 1.0 on c", Odd: []string{"c"}, Why: "failed update: run 1"},
		{Kind: compare.ByAccount, Title: "user eve", Odd: []string{"c"}},
	},
	Alarms:    []compare.Alarm{{Path: "/etc/machine-id", Servers: []string{"a", "b"}}},
	Unknowns:  map[string][]facts.Unknown{"b": {{Path: "/x", Reason: "gone"}}},
	Unreached: map[string]string{"d": "no route\nhint"},
}

func TestServersOpenReport(t *testing.T) {
	at := time.Unix(1700000000, 5)
	r := serversOpenReport(compared, at)
	if r.Summary != (OpenReportSummary{Fail: 4, Error: 2}) {
		t.Errorf("got %+v", r.Summary)
	}
	var lines []string
	for _, res := range r.Results {
		lines = append(lines, strings.Join([]string{res.Properties["adamant.sh/server"], res.Result, res.Severity, res.Message, res.Properties["adamant.sh/why"]}, "|"))
	}
	want := `a|fail|high|/etc/machine-id is the same on a, b|
b|fail|high|/etc/machine-id is the same on a, b|
b|error|medium|/x: gone|
c|fail|medium|package web: 1.1 on most; 1.0 on c|failed update: run 1
c|fail|high|user eve|
d|error|medium|no route|`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if again := serversOpenReport(compare.Comparison{Servers: []string{"d", "c", "b", "a"}}, at); again.Metadata.Name != r.Metadata.Name || again.Summary.Pass != 4 {
		t.Errorf("got %+v", again)
	}
}

func TestServersMetrics(t *testing.T) {
	var b bytes.Buffer
	if err := serversMetrics(&b, compared, time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`adamant_servers_causes{server="c"} 2`, `adamant_servers_causes{server="a"} 0`, `adamant_servers_unknown{server="b"} 1`,
		`adamant_servers_reached{server="d"} 0`, "adamant_servers_alarms 1", "adamant_servers_compared_timestamp_seconds 1700000000",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, &b)
		}
	}
}
