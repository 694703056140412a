package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// ServersOptions configures the text of a comparison of servers.
type ServersOptions struct {
	All    bool // list every file of a cause
	NoDiff bool // leave the text diffs out
}

// writeServers writes the differences between servers by cause, grouped by the servers
// that deviate. Text from the servers is escaped.
func writeServers(w io.Writer, c servers.Comparison, opts ServersOptions, color bool) error {
	p := serversPrinter{bufio.NewWriter(w), painter(color), opts, map[string]servers.Difference{}}
	for _, d := range c.Differences {
		if d.Section == servers.FileSection {
			p.files[d.Key] = d
		}
	}
	fmt.Fprintln(p, p.summary(c))
	for _, name := range slices.Sorted(maps.Keys(c.Notes)) {
		fmt.Fprintf(p, "%s: %s\n", text.Escape(name), text.Escape(c.Notes[name]))
	}
	for _, a := range c.Alarms {
		fmt.Fprintf(p, "\n%s %s is the same on %s, and must differ\n", p.paint(red, "ALARM"), text.Escape(a.Path), strings.Join(a.Servers, ", "))
	}
	for _, group := range byOdd(c) {
		fmt.Fprintf(p, "\n%s\n", p.paint(bold, group.title))
		for _, cause := range group.causes {
			p.cause(cause)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Unreached)) {
		fmt.Fprintf(p, "\n%s\n", p.paint(yellow, "UNREACHED: "+text.Escape(name)))
		for line := range strings.SplitSeq(c.Unreached[name], "\n") {
			fmt.Fprintf(p, "  %s\n", text.Escape(line))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Unknowns)) {
		fmt.Fprintf(p, "\n%s\n", p.paint(yellow, "UNKNOWN: could not be read on "+text.Escape(name)))
		for _, u := range c.Unknowns[name] {
			fmt.Fprintf(p, "  ? %s  (%s)\n", text.Escape(u.Path), text.Escape(u.Reason))
		}
	}
	return p.Flush()
}

type serversPrinter struct {
	*bufio.Writer
	painter
	opts  ServersOptions
	files map[string]servers.Difference // by path
}

func (p serversPrinter) summary(c servers.Comparison) string {
	most, expected := 0, 0
	for _, n := range c.Entries {
		most = max(most, n)
	}
	for _, n := range c.Expected {
		expected += n
	}
	s := fmt.Sprintf("%s, %s compared, %s bound to differ: ", text.Count(len(c.Servers), "server"), text.Count(most, "file"), text.Count(expected, "file"))
	if !c.Differs() {
		s += "no difference"
		if !c.Complete() {
			s += " in what could be read"
		}
		return s
	}
	if len(c.Differences) == 0 {
		return s + "no difference, " + text.Count(len(c.Alarms), "alarm")
	}
	return s + text.Count(len(c.Differences), "difference") + " with " + text.Count(len(c.Causes), "cause")
}

// A group are the causes by which the same servers deviate.
type group struct {
	title  string
	causes []servers.Cause
}

// byOdd groups causes by the servers that deviate, those of the fewest servers
// first, because the odd one out is what the reader looks for.
func byOdd(c servers.Comparison) []group {
	found := map[string]*group{}
	var keys []string
	for _, cause := range c.Causes {
		key := fmt.Sprintf("%08d %s", len(cause.Odd), strings.Join(cause.Odd, ", "))
		right := cmp.Or(c.Baseline, "most")
		title := strings.Join(cause.Odd, ", ") + " differs from " + right
		if len(cause.Odd) > 1 {
			title = strings.Join(cause.Odd, ", ") + " differ from " + right
		}
		if len(cause.Odd) == 0 {
			key, title = "split", "split: no value has a majority"
		}
		if found[key] == nil {
			found[key] = &group{title: text.Escape(title)}
			keys = append(keys, key)
		}
		found[key].causes = append(found[key].causes, cause)
	}
	slices.Sort(keys)
	var list []group
	for _, k := range keys {
		list = append(list, *found[k])
	}
	return list
}

func (p serversPrinter) cause(c servers.Cause) {
	title := strings.TrimPrefix(c.Title, string(c.Kind)+" ") // facts begin with their section
	fmt.Fprintf(p, "  %s %s\n", p.paint(cyan, string(c.Kind)), text.Escape(title))
	if c.Why != "" {
		fmt.Fprintf(p, "    %s\n", p.paint(yellow, text.Escape(c.Why)))
	}
	for i, file := range c.Files {
		if i == foldAfter && !p.opts.All {
			fmt.Fprintf(p, "      … and %d more; --all lists them\n", len(c.Files)-i)
			return
		}
		p.file(c, p.files[file])
	}
}

func (p serversPrinter) file(c servers.Cause, d servers.Difference) {
	mark := "~"
	if len(d.Odd) > 0 {
		_, oddHas := d.Values[d.Odd[0]]
		switch {
		case !oddHas:
			mark = p.paint(red, "-")
		case d.Usual == "":
			mark = p.paint(green, "+")
		}
	}
	line := fmt.Sprintf("    %s %s", mark, text.Escape(d.Key))
	if len(d.Fields) > 0 {
		line += "  " + strings.Join(d.Fields, ", ")
	}
	if d.Split {
		line += "  (" + text.Escape(strings.TrimPrefix(d.Where(), "split: ")) + ")"
	}
	if d.Hidden != "" {
		line += "  (not shown: " + text.Escape(d.Hidden) + ")"
	}
	fmt.Fprintln(p, line)
	if d.Text == "" || p.opts.NoDiff || c.Kind == servers.ByPackage {
		return
	}
	for text := range strings.Lines(d.Text) {
		fmt.Fprintf(p, "        %s", text)
	}
}
