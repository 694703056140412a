package report

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// An OpenReport is a ClusterReport of openreports.io/v1alpha1, which policy tools
// read: https://github.com/openreports/reports-api.
type OpenReport struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Metadata   OpenReportMetadata `json:"metadata"`
	Source     string             `json:"source"`
	Summary    OpenReportSummary  `json:"summary"`
	Results    []OpenReportResult `json:"results,omitempty"`
}

// OpenReportMetadata names a report.
type OpenReportMetadata struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// OpenReportSummary counts results.
type OpenReportSummary struct {
	Pass  int `json:"pass"`
	Fail  int `json:"fail"`
	Warn  int `json:"warn"`
	Error int `json:"error"`
	Skip  int `json:"skip"`
}

// An OpenReportResult is one finding.
type OpenReportResult struct {
	Policy     string              `json:"policy"`
	Rule       string              `json:"rule,omitempty"`
	Category   string              `json:"category,omitempty"`
	Severity   string              `json:"severity,omitempty"` // critical, high, medium, low, info
	Timestamp  OpenReportTime      `json:"timestamp"`
	Result     string              `json:"result"` // pass, fail, warn, error, skip
	Subjects   []OpenReportSubject `json:"resources,omitempty"`
	Message    string              `json:"message,omitempty"`
	Properties map[string]string   `json:"properties,omitempty"`
}

// An OpenReportSubject is an object that a result is about.
type OpenReportSubject struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name,omitempty"`
}

// OpenReportTime is a time as protobuf has it.
type OpenReportTime struct {
	Seconds int64 `json:"seconds"`
	Nanos   int32 `json:"nanos"`
}

// policyServers is the one policy that comparisons of servers are about.
const policyServers = "servers-are-the-same"

// maxProperty bounds a property's value, in bytes: the object must fit into etcd.
const maxProperty = 1000

// serversOpenReport returns a comparison as a report with a result for each cause on
// a server, or one pass for a server that does not deviate. Unknowns are errors,
// because a server that could not be read must not count as passed.
func serversOpenReport(c servers.Comparison, at time.Time) OpenReport {
	r := OpenReport{
		APIVersion: "openreports.io/v1alpha1", Kind: "ClusterReport", Source: "adamant",
		Metadata: OpenReportMetadata{Name: "adamant-servers-" + nameOf(c), Labels: map[string]string{"app.kubernetes.io/managed-by": "adamant"}},
	}
	add := func(name, rule, severity, result, message, why string) {
		res := OpenReportResult{
			Policy: policyServers, Rule: rule, Category: "drift", Severity: severity, Result: result, Message: clipped(message),
			Timestamp: OpenReportTime{at.Unix(), int32(at.Nanosecond())}, Properties: map[string]string{"adamant.sh/server": name},
		}
		if why != "" {
			res.Properties["adamant.sh/why"] = clipped(why)
		}
		r.Results = append(r.Results, res)
	}
	for _, name := range c.Servers {
		fine := true
		for _, cause := range c.Causes {
			if slices.Contains(cause.Odd, name) || len(cause.Odd) == 0 {
				add(name, string(cause.Kind), severityOf(cause.Kind), "fail", cause.Title, cause.Why)
				fine = false
			}
		}
		for _, a := range c.Alarms {
			if slices.Contains(a.Servers, name) {
				add(name, "identity", "high", "fail", a.Path+" is the same on "+strings.Join(a.Servers, ", "), "")
				fine = false
			}
		}
		for _, u := range c.Unknowns[name] {
			add(name, "unknown", "medium", "error", u.Path+": "+u.Reason, "")
			fine = false
		}
		if fine {
			add(name, "", "", "pass", "", "")
		}
	}
	for name, why := range c.Unreached {
		add(name, "unreached", "medium", "error", why, "")
	}
	slices.SortStableFunc(r.Results, func(a, b OpenReportResult) int {
		return strings.Compare(a.Properties["adamant.sh/server"], b.Properties["adamant.sh/server"])
	})
	r.Summary = summaryOf(r.Results)
	return r
}

func summaryOf(results []OpenReportResult) OpenReportSummary {
	var s OpenReportSummary
	for _, r := range results {
		switch r.Result {
		case "pass":
			s.Pass++
		case "fail":
			s.Fail++
		case "warn":
			s.Warn++
		case "error":
			s.Error++
		case "skip":
			s.Skip++
		}
	}
	return s
}

// nameOf returns a name that is the same for the same servers.
func nameOf(c servers.Comparison) string {
	names := slices.Clone(c.Servers)
	for name := range c.Unreached {
		names = append(names, name)
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return hex.EncodeToString(sum[:5])
}

// severityOf returns the severity of a cause. Accounts and other causes that decide who
// may do what weigh most.
func severityOf(k servers.CauseKind) string {
	switch k {
	case servers.ByAccount, servers.ByKey, servers.BySetuid, servers.ByPreload, servers.ByPAM, servers.BySource:
		return "high"
	case servers.ByResult:
		return "info"
	}
	return "medium"
}

func clipped(s string) string {
	s = text.FirstLine(s)
	return strings.ToValidUTF8(s[:min(len(s), maxProperty)], "")
}
