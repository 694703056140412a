package report

import (
	"bufio"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// RuleList is the document of `explain -o json`.
type RuleList struct {
	document.Header
	Rules []CheckRule `json:"rules"`
}

// A CheckRule is a rule of `check`.
type CheckRule struct {
	ID         string          `json:"id"`
	Severity   policy.Severity `json:"severity"` // "low", "medium", "high" or "critical"
	Title      string          `json:"title"`
	Reason     string          `json:"reason"`  // why it matters
	Fix        string          `json:"fix"`     // what to do
	Decides    string          `json:"decides"` // what the rule looks at, and what it decides by convention
	References []RuleReference `json:"references"`

	PolicyDiffers []string `json:"policyDiffers,omitempty"` // where the policy of adamant policy decides otherwise
	NoPolicy      string   `json:"noPolicy,omitempty"`      // why adamant policy has none for this rule
}

// A RuleReference is a place in a standard that asks for the same.
type RuleReference struct {
	Standard string `json:"standard"`
	Section  string `json:"section,omitempty"`
	Title    string `json:"title,omitempty"`
}

// NewRuleList returns the document of rules.
func NewRuleList(rules []policy.Rule) RuleList {
	list := RuleList{Header: document.NewHeader(document.RuleList), Rules: []CheckRule{}}
	for _, r := range rules {
		one := CheckRule{ID: r.ID, Severity: r.Severity, Title: r.Title, Reason: r.Reason, Fix: r.Fix, Decides: r.Decides, References: []RuleReference{}, PolicyDiffers: r.CEL.Differs, NoPolicy: r.CEL.Impossible}
		for _, ref := range r.References {
			one.References = append(one.References, RuleReference(ref))
		}
		list.Rules = append(list.Rules, one)
	}
	return list
}

// WriteText implements Text: one rule in full, or a line for each of several.
func (l RuleList) WriteText(w io.Writer, color bool) error {
	if len(l.Rules) == 1 {
		return l.Rules[0].writeText(w, painter(color))
	}
	table := text.NewTable(w)
	fmt.Fprintln(table, "RULE\tSEVERITY\tFINDS")
	for _, r := range l.Rules {
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.ID, r.Severity, r.Title)
	}
	return table.Flush()
}

func (r CheckRule) writeText(w io.Writer, paint painter) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s (%s)\n  %s.\n", paint.paint(bold, r.ID), paint.paint(severityColor(r.Severity), r.Severity.String()), r.Title)
	for _, part := range []struct{ name, text string }{{"Why", r.Reason}, {"Fix", r.Fix + "."}, {"Decided by", r.Decides}} {
		fmt.Fprintf(b, "\n%s\n  %s\n", paint.paint(bold, part.name), part.text)
	}
	fmt.Fprintf(b, "\n%s\n", paint.paint(bold, "References"))
	for _, ref := range r.References {
		fmt.Fprintf(b, "  %s\n", policy.Reference(ref))
	}
	if len(r.PolicyDiffers) > 0 || r.NoPolicy != "" {
		fmt.Fprintf(b, "\n%s\n", paint.paint(bold, "In a cluster"))
	}
	for _, d := range r.PolicyDiffers {
		fmt.Fprintf(b, "  %s.\n", d)
	}
	if r.NoPolicy != "" {
		fmt.Fprintf(b, "  There is no policy: %s.\n", r.NoPolicy)
	}
	return b.Flush()
}

func (l RuleList) writeFitted(w io.Writer, color bool, columns int) error {
	if len(l.Rules) == 1 {
		return wrap(l, w, color, columns)
	}
	return l.WriteText(w, color)
}
