// Package report writes results as text for people and as documents for programs,
// and maps verdicts to exit codes. It does not check or compare anything.
package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/text"
)

// DriftOptions configures the text of a drift report.
type DriftOptions struct {
	All    bool // list everything below a directory that was added or deleted
	NoDiff bool // leave the text diffs out
	color  bool
}

// Drift writes the changes in an instance, the most severe first. Text from the
// instance is escaped, because it could steer the terminal.
func Drift(w io.Writer, name string, r drift.Report, opts DriftOptions) error {
	p := driftPrinter{bufio.NewWriter(w), painter(opts.color), opts}
	fmt.Fprintf(p, "%s: %s\n", text.Escape(name), driftSummary(r))
	for _, severity := range drift.Severities() {
		p.group(severity, r.Changes)
	}
	if n := r.Len() - len(r.Changes); n > 0 {
		fmt.Fprintf(p, "\n%s\n", text.Count(n, "further change")+" not listed"+severityWords(r.Omitted))
	}
	p.programs(r)
	p.privateMounts(r)
	if r.UnknownLen() > 0 {
		fmt.Fprintf(p, "\n%s\n", p.paint(yellow, "UNKNOWN: could not be compared"))
	}
	for _, u := range r.Unknowns {
		fmt.Fprintf(p, "  ? %s  (%s)\n", pathText(u.Path), text.Escape(u.Reason()))
	}
	if r.OmittedUnknowns > 0 {
		fmt.Fprintf(p, "  ? … %d more\n", r.OmittedUnknowns)
	}
	return p.Flush()
}

// programs writes the programs in volumes. They are no drift.
func (p driftPrinter) programs(r drift.Report) {
	if len(r.Programs)+r.OmittedPrograms == 0 {
		return
	}
	fmt.Fprintf(p, "\n%s\n", p.paint(bold, "PROGRAMS IN VOLUMES: not of the image, which is no drift"))
	for i := range r.Programs {
		ch := &r.Programs[i]
		what := "new"
		if ch.Kind == drift.Changed {
			what = "not as in the image"
		}
		fmt.Fprintf(p, "  * %s  %s  (%s)\n", p.paint(bold, pathText(ch.Path)), what, ch.Class)
	}
	if r.OmittedPrograms > 0 {
		fmt.Fprintf(p, "  * … %d more\n", r.OmittedPrograms)
	}
}

// privateMounts writes the mount namespaces that only their own processes see. They are no
// drift.
func (p driftPrinter) privateMounts(r drift.Report) {
	if len(r.PrivateMounts)+r.OmittedPrivateMounts == 0 {
		return
	}
	fmt.Fprintf(p, "\n%s\n", p.paint(bold, "PRIVATE MOUNTS: in user namespaces that the container made, which is no drift"))
	for _, pid := range r.PrivateMounts {
		fmt.Fprintf(p, "  * process %d\n", pid)
	}
	if r.OmittedPrivateMounts > 0 {
		fmt.Fprintf(p, "  * … %d more\n", r.OmittedPrivateMounts)
	}
}

// driftSummary is one line: "2 changes (1 critical, 1 low), 1 unknown".
func driftSummary(r drift.Report) string {
	if r.Clean() {
		return "no drift"
	}
	s := text.Count(r.Len(), "change") + severityWords(r.Counts())
	if n := r.UnknownLen(); n > 0 {
		s += fmt.Sprintf(", %d unknown", n)
	}
	return s
}

// severityWords returns counts such as " (1 critical, 2 low)", or nothing if all are zero.
func severityWords(counts map[drift.Severity]int) string {
	var parts []string
	for _, severity := range drift.Severities() {
		if n := counts[severity]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, severity))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// Of a path longer than PATH_MAX, which no program can open, the text has only both ends.
// The JSON document has all of it.
const (
	longPath = 4096
	pathHead = 256
	pathTail = 256
)

func pathText(path string) string {
	if len(path) <= longPath {
		return text.Escape(path)
	}
	return fmt.Sprintf("%s … (a path of %d bytes) … %s", text.Escape(path[:pathHead]), len(path), text.Escape(path[len(path)-pathTail:]))
}

type driftPrinter struct {
	*bufio.Writer
	painter
	opts DriftOptions
}

// foldAfter is how many changes below one added or deleted directory are
// listed.
const foldAfter = 4

// group writes the changes of one severity. What lies below a directory that
// was added or deleted is counted after the first few.
func (p driftPrinter) group(severity drift.Severity, changes []drift.Change) {
	isFirst := true
	below := subtree{}
	for i := range changes {
		ch := &changes[i]
		below.enter(ch)
		if ch.Severity != severity {
			continue
		}
		if isFirst {
			fmt.Fprintf(p, "\n%s\n", p.paint(bold, strings.ToUpper(string(severity))))
			isFirst = false
		}
		if !p.opts.All && below.contains(ch) {
			if below.counts[severity]++; below.counts[severity] > foldAfter {
				p.folded(&below, changes[i:], severity)
				continue
			}
		}
		p.change(ch)
	}
}

// folded writes the number of changes that are not listed, at the first of them,
// with which rest begins.
func (p driftPrinter) folded(below *subtree, rest []drift.Change, severity drift.Severity) {
	if below.counts[severity] != foldAfter+1 {
		return
	}
	n := 0
	for i := range rest {
		if !below.contains(&rest[i]) {
			break
		}
		if rest[i].Severity == severity {
			n++
		}
	}
	fmt.Fprintf(p, "  %s … %d more below %s\n", p.mark(below.kind), n, pathText(below.dir))
}

// A subtree is the topmost directory that was added or deleted.
type subtree struct {
	dir    string
	kind   drift.Kind
	counts map[drift.Severity]int
}

// enter is called for each change in tree order.
func (s *subtree) enter(ch *drift.Change) {
	if s.contains(ch) {
		return
	}
	*s = subtree{counts: map[drift.Severity]int{}}
	if isDirectory(ch) && ch.Kind != drift.Changed {
		s.dir, s.kind = ch.Path, ch.Kind
	}
}

func (s *subtree) contains(ch *drift.Change) bool {
	return s.dir != "" && ch.Kind == s.kind && strings.HasPrefix(ch.Path, s.dir+"/")
}

func isDirectory(ch *drift.Change) bool {
	e := ch.Got
	if e == nil {
		e = ch.Want
	}
	return e != nil && e.Kind == tree.Directory
}

func (p driftPrinter) mark(kind drift.Kind) string {
	switch kind {
	case drift.Added:
		return p.paint(green, "+")
	case drift.Deleted:
		return p.paint(red, "-")
	case drift.Mounted, drift.Running:
		return p.paint(red, "!")
	}
	return p.paint(yellow, "~")
}

// change writes one change:
//
//	~ /etc/passwd  content, mode 0644 → 0666  (configuration: accounts)
func (p driftPrinter) change(ch *drift.Change) {
	why := string(ch.Class)
	if ch.Reason != "" && ch.Reason != why {
		why += ": " + ch.Reason
	}
	what := string(ch.Kind) + kindWords(ch)
	if ch.Kind == drift.Changed {
		what = strings.Join(fieldChanges(ch), ", ")
	}
	if ch.Detail != "" {
		what = ch.Detail
	}
	if ch.From != "" {
		what += ", was " + ch.From
	}
	fmt.Fprintf(p, "  %s %s  %s  (%s)\n", p.mark(ch.Kind), p.paint(bold, pathText(ch.Path)), text.Escape(what), text.Escape(why))
	if p.opts.NoDiff {
		return
	}
	for line := range strings.Lines(ch.Diff) {
		fmt.Fprintf(p, "      %s\n", p.diffLine(strings.TrimSuffix(line, "\n")))
	}
}

// kindWords returns the type of an added or deleted entry, unless it is a regular
// file.
func kindWords(ch *drift.Change) string {
	e := ch.Got
	if e == nil {
		e = ch.Want
	}
	switch {
	case e == nil || e.Kind == tree.Regular:
		return ""
	case e.Kind == tree.Symlink:
		return " " + e.Kind.String() + " → " + e.Target
	case e.Kind == tree.CharDevice || e.Kind == tree.BlockDevice:
		return fmt.Sprintf(" %s %d:%d", e.Kind, e.Major, e.Minor)
	}
	return " " + e.Kind.String()
}

func (p driftPrinter) diffLine(line string) string {
	line = text.Escape(line)
	switch {
	case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		return p.paint(bold, line)
	case strings.HasPrefix(line, "@@"):
		return p.paint(cyan, line)
	case strings.HasPrefix(line, "-"):
		return p.paint(red, line)
	case strings.HasPrefix(line, "+"):
		return p.paint(green, line)
	}
	return line
}
