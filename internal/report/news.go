package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// News is the difference between two comparisons of the same servers.
type News struct {
	Servers int      `json:"servers"` // that were reached
	Causes  int      `json:"causes"`  // that there are now
	New     []string `json:"new"`
	Gone    []string `json:"gone"`
}

// NewsOf compares two comparisons. If last is nil, all findings are new.
func NewsOf(c servers.Comparison, last *servers.Comparison) News {
	n := News{Servers: len(c.Servers), Causes: len(c.Causes), New: []string{}, Gone: []string{}}
	now := lines(c)
	before := map[string]bool{}
	if last != nil {
		before = lines(*last)
	}
	for _, line := range slices.Sorted(maps.Keys(now)) {
		if !before[line] {
			n.New = append(n.New, line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(before)) {
		if !now[line] {
			n.Gone = append(n.Gone, line)
		}
	}
	return n
}

// lines returns the findings of a comparison, each as a line that stays the same as
// long as the finding does.
func lines(c servers.Comparison) map[string]bool {
	all := map[string]bool{}
	for _, cause := range c.Causes {
		line := cause.Title
		if cause.Kind != servers.ByPackage && len(cause.Files) > 0 {
			line += ": " + strings.Join(cause.Files[:min(len(cause.Files), foldAfter)], ", ")
		}
		if cause.Why != "" {
			line += " (" + cause.Why + ")"
		}
		all[line] = true
	}
	for _, a := range c.Alarms {
		all["ALARM "+a.Path+" is the same on "+strings.Join(a.Servers, ", ")] = true
	}
	for name, unknowns := range c.Unknowns {
		for _, u := range unknowns {
			all["UNKNOWN "+name+" "+u.Path+": "+u.Reason] = true
		}
	}
	for name := range c.Unreached {
		all["UNREACHED "+name] = true // why it is differs from time to time
	}
	return all
}

// writeNews writes a line with the number of servers and causes, and one for each
// finding that is new or gone.
func writeNews(w io.Writer, n News, at time.Time, color bool) error {
	p := painter(color)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, %s", at.Format(time.DateTime), text.Count(n.Servers, "server"), text.Count(n.Causes, "cause"))
	if len(n.New)+len(n.Gone) == 0 {
		b.WriteString(", nothing changed")
	}
	b.WriteString("\n")
	for _, line := range n.New {
		fmt.Fprintf(&b, "  %s %s\n", p.paint(red, "+"), text.Escape(line))
	}
	for _, line := range n.Gone {
		fmt.Fprintf(&b, "  %s %s\n", p.paint(green, "-"), text.Escape(line))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
