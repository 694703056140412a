package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/servers/capture"
	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

func sampleHosts() []servers.Host {
	return []servers.Host{
		{Name: "web-1", Address: "10.0.0.1", Port: 22, User: "root"},
		{Name: "web-2", Address: "10.0.0.2", Port: 2222, User: "ops", Become: inventory.Become{On: true, User: "root"},
			ProxyJump: []inventory.Jump{{Name: "a"}, {Name: "b"}}, Groups: []string{"db", "web"}},
	}
}

func sampleSelection() servers.Selection {
	at := inventory.Origin{File: "hosts.ini", Line: 3}
	return servers.Selection{Hosts: sampleHosts(), Refused: []servers.Refusal{
		{Host: "localhost", Groups: []string{"ops"}, Err: &inventory.Error{Origin: at, What: `ansible_connection: "local" is not SSH`, Hint: "exclude it"}},
		{Err: &inventory.Error{Origin: inventory.Origin{File: "aws.yml\x1b"}, What: "the configuration\nof an inventory plugin"}},
	}}
}

// sampleRecord returns a run with changes of all kinds. Text of its servers steers
// terminals and has line breaks.
func sampleRecord() servers.Record {
	began := time.Date(2026, 11, 25, 10, 15, 0, 0, time.Local)
	change := change.State{
		Count: 4,
		Facts: []compare.FactChange{{Section: "package", Key: "nginx", Before: "1.22", After: "1.24"}, {Section: "user", Key: "bob\x1b", After: "1000"}},
		Files: []compare.FileChange{{Path: "/etc/a", After: "x"}, {Path: "/etc/b", Before: "x"}, {Path: "/etc/c", Before: "x", After: "y"}, {Path: "/etc/d", Derived: true}},
		Undo:  &change.Undo{Left: []string{"/etc/e\x1b[2J"}, LeftCount: 1},
	}
	return servers.Record{
		ID: "20261125-101500-ab12cd", Number: 7, Began: began, Ended: began.Add(90 * time.Second), By: "ann\x1b@host", Reason: "a CVE\nmore",
		What: []string{"install nginx=1.24", strings.Repeat("ä", 60)}, Action: servers.ActionUpdate, Stopped: "too many\nfailed", Statement: "one of two\nis as wanted",
		Results: []servers.Result{
			{Server: "web-1", Wave: 1, Outcome: "changed", Change: change},
			{Server: "web-2", Wave: 2, Outcome: servers.Unchanged, Failed: true, Cause: "no\nweb-1: changed\x1b[2J"},
		},
	}
}

// longRecord returns a run with more changes than are listed.
func longRecord() servers.Record {
	r := servers.Record{Results: []servers.Result{{Server: "web-1", Outcome: "changed"}}}
	c := &r.Results[0].Change
	c.Undo = &change.Undo{LeftCount: 50}
	for i := range maxListed + 1 {
		c.Facts = append(c.Facts, compare.FactChange{Section: "sysctl", Key: fmt.Sprint("key", i), Before: "1"})
		c.Files = append(c.Files, compare.FileChange{Path: fmt.Sprint("/file", i), After: "x"})
		c.Undo.Left = append(c.Undo.Left, fmt.Sprint("/left", i))
	}
	c.Count = 45
	return r
}

func sampleCapture() servers.Captured {
	p := servers.CapturePlan{
		Release:  "Debian 12",
		Services: []servers.Service{{Name: "nginx", Command: []string{"nginx", "-g\x1b"}}},
		Data:     []servers.Data{{Path: "/var/lib/db", Why: "a database", Entries: 3, Bytes: 1536}},
		Secrets:  []servers.SecretFile{{Path: "/etc/key", Why: "a private key"}},
		Losses:   []servers.Loss{{What: "eth0", Why: "a device"}, {What: "/srv", Why: "not readable", Hint: "use sudo", Unread: true}},
	}
	p.Packages.Bytes, p.Config.Bytes = 5<<20, 12
	p.Services[0].Ports = []capture.Port{{Protocol: "tcp", Number: 80}}
	return servers.Captured{Server: "web-1", Dir: "/captured", Image: "adamant.local/web:1", Digest: "sha256:" + strings.Repeat("ab", 32), Plan: p, Incomplete: []string{"data /var/lib/db: eof"}}
}

func samplePlan() servers.Plan {
	captured := sampleCapture().Plan
	p := servers.Plan{
		Repairs: []servers.Repair{{Server: "web-3", Packages: []change.PackageSpec{{Name: "a", Version: "1"}, {Name: "b"}}, Purge: []string{"c"}, ByHand: []string{"user x\x1b"}}},
		Split:   2, Model: "web-1", Capture: &captured,
	}
	p.Comparison.Unreached = map[string]string{"web-4": "refused\nby all"}
	for i := range maxListed + 1 {
		p.Repairs[0].Copy = append(p.Repairs[0].Copy, fmt.Sprint("/file", i))
	}
	return p
}

// unreadPlan returns a plan whose model could not be read.
func unreadPlan() servers.Plan {
	return servers.Plan{
		Repairs: []servers.Repair{{Server: "web-3", Purge: []string{"c"}}}, Model: "web-1",
		CaptureErr: errors.New("survey web-1: no agent runs there: the home directory is mounted noexec"),
	}
}

func TestTextOfServerDocuments(t *testing.T) {
	lines := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+"\n", i)
		}
		return b.String()
	}
	for name, test := range map[string]struct {
		document Text
		want     string
	}{
		"list": {NewServerList(sampleSelection()), `
NAME   ADDRESS   PORT  USER  SUDO  THROUGH  GROUPS
web-1  10.0.0.1  22    root  -     -        -
web-2  10.0.0.2  2222  ops   root  a, b     db, web
REFUSED localhost: hosts.ini:3: ansible_connection: "local" is not SSH (exclude it)
REFUSED aws.yml\x1b: the configuration of an inventory plugin
`},
		"update": {NewServerUpdate(sampleRecord()), `
web-1: changed, 2 settings, 4 files
web-2: unchanged, and failed; no web-1: changed\x1b[2J
stopped: too many failed
one of two is as wanted
`},
		"history": {NewServerHistory([]servers.Record{sampleRecord()}, []servers.BrokenRecord{{File: "7.json", Why: "edited\x1b"}}), `
RUN  ACTION  WHAT                                                          BY            BEGAN                TOOK   SERVERS  RESULT
7    update  install nginx=1.24, ` + strings.Repeat("ä", 39) + `…  ann\x1b@host  2026-11-25 10:15:00  1m30s  2        one of two
BROKEN 7.json: edited\x1b
`},
		"run": {ServerRun{NewServerUpdate(sampleRecord())}, `
run 7 (20261125-101500-ab12cd), update by ann\x1b@host, 2026-11-25 10:15:00
why: a CVE
what: install nginx=1.24
what: ` + strings.Repeat("ä", 60) + `

web-1: changed
  package nginx: 1.22 -> 1.24
  user bob\x1b: - -> 1000
  + /etc/a
  - /etc/b
  ~ /etc/c
  not as it was: /etc/e\x1b[2J

web-2: unchanged
  no web-1: changed\x1b[2J

one of two
is as wanted
`},
		"long run": {ServerRun{NewServerUpdate(longRecord())}, `
run 0 (),  by , 0001-01-01 00:00:00

web-1: changed
` + lines("  sysctl key%d: 1 -> -", maxListed) + "  … and 1 more\n" + lines("  + /file%d", maxListed) + "  … 45 files in all\n" +
			lines("  not as it was: /left%d", maxListed) + "  … and 20 more\n\n\n"},
		"capture": {NewServerCapture(sampleCapture()), `
web-1, Debian 12, is adamant.local/web:1 (sha256:abababababab…)
  layer packages: 0 files, 5.0 MiB
  layer config: 0 files, 12 B; 0 of them are edited files of packages
  service nginx: nginx -g\x1b, listens on 80/tcp
  data /var/lib/db: 3 files, 1.5 KiB (a database)
  secret /etc/key (a private key)
not captured:
  - eth0: a device
  - INCOMPLETE /srv: not readable (use sudo)
INCOMPLETE data /var/lib/db: eof
`},
		"plan": {NewServerPlan(samplePlan()), `
repair in place
  web-3
    adamant servers update web-3 --package a=1 --package b
    purge: c
` + lines("    copy from another: /file%d", maxListed) + `    … and 1 more to copy from another
    by hand: user x\x1b
  2 differences are split: decide who is right, with --baseline
  UNREACHED web-4: refused
replace
  all of them by instances of one image, captured from web-1: packages 5.0 MiB, configuration 12 B
    service nginx: nginx -g\x1b, listens on 80/tcp
    data /var/lib/db: 3 files, 1.5 KiB
    not captured: 2 things; adamant servers capture web-1 --out DIR lists them
`},
		"empty plan": {NewServerPlan(servers.Plan{}), `
repair in place
  nothing: no server deviates
replace
  no server is as most are: nothing is right to be captured
`},
		"plan without a capture": {NewServerPlan(unreadPlan()), `
repair in place
  web-3
    purge: c
replace
  INCOMPLETE survey web-1: no agent runs there: the home directory is mounted noexec
`},
		"replaced": {NewServerReplacement("web-1", servers.Replaced{Answered: []string{"nginx at 10.0.0.9:80"}}), `
nginx at 10.0.0.9:80 answers in its place
web-1 is ready to be removed: nobody is connected to its services
`},
		"in use": {NewServerReplacement("web-1", servers.Replaced{Connected: 2}), `
web-1 is still in use: 2 connections to its services; point their names or balancers to the new addresses
`},
		"snapshot": {NewServerSnapshot(&servers.Snapshot{Name: "web-1", Summary: servers.Summary{Entries: 9}}, "monday"), `
web-1: 9 files, 0 facts, in monday
`},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			if err := (TextPrinter{Out: &got}).Print(test.document); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), got.String()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerdictsOfServerDocuments(t *testing.T) {
	readable := sampleCapture()
	readable.Incomplete, readable.Plan.Losses = nil, nil
	unreadable := readable
	unreadable.Plan.Losses = []servers.Loss{{What: "/srv", Unread: true}}
	differing := servers.Comparison{Differences: []servers.Difference{{}}}
	for name, test := range map[string]struct {
		result interface{ Verdict() Verdict }
		want   Verdict
	}{
		"capture":                     {NewServerCapture(readable), Clean},
		"capture without some data":   {NewServerCapture(sampleCapture()), Incomplete},
		"capture without some files":  {NewServerCapture(unreadable), Incomplete},
		"plan":                        {NewServerPlan(servers.Plan{Capture: &readable.Plan}), Clean},
		"plan with repairs":           {NewServerPlan(servers.Plan{Comparison: differing}), Findings},
		"plan of an unreached server": {NewServerPlan(samplePlan()), Incomplete},
		"plan of an unread capture":   {NewServerPlan(servers.Plan{Comparison: differing, Capture: &unreadable.Plan}), Incomplete},
		"plan without a capture":      {NewServerPlan(unreadPlan()), Incomplete},
		"history":                     {NewServerHistory(nil, nil), Clean},
		"broken history":              {NewServerHistory(nil, []servers.BrokenRecord{{}}), Findings},
		"replaced":                    {NewServerReplacement("a", servers.Replaced{}), Clean},
		"in use":                      {NewServerReplacement("a", servers.Replaced{Connected: 1}), Findings},
		"comparison":                  {NewServerComparison(servers.Comparison{}, ServersOptions{}), Clean},
		"comparison with differences": {NewServerComparison(differing, ServersOptions{}), Findings},
		"snapshot":                    {NewServerSnapshot(&servers.Snapshot{Summary: servers.Summary{Unknowns: []servers.Unknown{{}}}}, ""), Incomplete},
		"update":                      {NewServerUpdate(updateWith(servers.Result{Outcome: servers.Unchanged})), Clean},
		"update that failed":          {NewServerUpdate(updateWith(servers.Result{Outcome: servers.Unchanged, Failed: true})), 6},
		"update of an unreached one":  {NewServerUpdate(updateWith(servers.Result{Outcome: servers.Unreachable, Failed: true})), 5},
		"update that reverted":        {NewServerUpdate(updateWith(servers.Result{Outcome: servers.RolledBack, Failed: true})), 8},
		"update with many outcomes": {NewServerUpdate(updateWith(servers.Result{Outcome: servers.NotBegun},
			servers.Result{Outcome: servers.HalfChanged, Failed: true})), 7},
		"update that was not begun":     {NewServerUpdate(updateWith(servers.Result{Outcome: servers.NotBegun})), 9},
		"update that could not be read": {NewServerUpdate(servers.Record{Incomplete: true}), Incomplete},
		"failed and could not be read":  {NewServerUpdate(servers.Record{Incomplete: true, Results: []servers.Result{{Outcome: servers.NotBegun}}}), 9},
	} {
		if got := test.result.Verdict(); got != test.want {
			t.Errorf("%s: verdict %d, want %d", name, got, test.want)
		}
	}
}

func updateWith(results ...servers.Result) servers.Record { return servers.Record{Results: results} }
