package render

import (
	"regexp"
	"strings"
)

// A cause is the lines of a template that can have printed a rendered line.
type cause struct {
	file     string
	line     int  // the most likely one
	from, to int  // others
	guessed  bool // by its text alone
}

// cause returns the cause of a rendered line.
func (o *chartOrigin) cause(line int) (cause, bool) {
	key := keyOf(o.lines[min(max(line, 1), len(o.lines))-1])
	before, at, after := o.around(line)
	for _, r := range []cause{
		{file: before.file, from: before.line + 1, to: before.line + 8},
		{file: at.file, from: at.line - 3, to: at.line},
		{file: after.file, from: after.line - 40, to: after.line},
	} {
		switch r.file {
		case "":
			continue
		case at.file:
			r.to = min(r.to, at.line)
		case after.file:
			r.to = min(r.to, after.line)
		}
		if r.file == before.file {
			r.from = max(r.from, before.line+1)
		}
		if n, ok := o.chart.lineWith(r.file, key, r.from, r.to); ok {
			return cause{r.file, n, n, n, false}, true
		}
	}
	// What an action printed.
	switch {
	case before.file != "" && before.file == after.file && before.line < after.line:
		c := cause{file: before.file, from: before.line + 1, to: after.line}
		c.line = o.chart.actionIn(c.file, c.from, c.to)
		return c, true
	case after.file != "":
		c := cause{file: after.file, from: max(1, after.line-2), to: after.line}
		c.line = o.chart.actionIn(c.file, c.from, c.to)
		return c, true
	case before.file != "":
		return cause{before.file, before.line, before.line, before.line + 1, false}, true
	}
	return o.unmarked(key)
}

// around returns the last mark before a rendered line, its own, and its own or the next one.
func (o *chartOrigin) around(line int) (before, at, after mark) {
	if line < 1 || line > len(o.marks) {
		return
	}
	at = o.marks[line-1]
	for i := line - 2; i >= 0 && before.line == 0; i-- {
		before = o.marks[i]
	}
	for i := line - 1; i < len(o.marks) && after.line == 0; i++ {
		after = o.marks[i]
	}
	return before, at, after
}

// unmarked returns the line of the template that has a key. It is guessed if another line has
// it, too.
func (o *chartOrigin) unmarked(key string) (cause, bool) {
	if !o.known {
		return cause{}, false
	}
	first, ok := o.chart.lineWith(o.file, key, 1, len(o.chart.linesOf(o.file)))
	if !ok {
		return cause{}, false
	}
	_, again := o.chart.lineWith(o.file, key, first+1, len(o.chart.linesOf(o.file)))
	return cause{o.file, first, first, first, again}, true
}

// linesOf returns the lines of a file of the chart.
func (c *chart) linesOf(name string) []string {
	if lines, ok := c.lines[name]; ok {
		return lines
	}
	lines := strings.Split(string(c.content[name]), "\n")
	c.lines[name] = lines
	return lines
}

// lineWith returns the first line in a range that has a key as its own.
func (c *chart) lineWith(name, key string, from, to int) (int, bool) {
	lines := c.linesOf(name)
	for n := max(from, 1); n <= min(to, len(lines)) && key != ""; n++ {
		if keyOf(lines[n-1]) == key {
			return n, true
		}
	}
	return 0, false
}

// actionIn returns the first line in a range that has an action that prints something.
func (c *chart) actionIn(name string, from, to int) int {
	lines := c.linesOf(name)
	for n := max(from, 1); n <= min(to, len(lines)); n++ {
		if i := strings.Index(lines[n-1], "{{"); i >= 0 && !control.MatchString(lines[n-1][i:]) {
			return n
		}
	}
	return min(max(to, 1), len(lines))
}

// control matches an action that prints nothing.
var control = regexp.MustCompile(`^\{\{-?\s*(if|else|end|with|range|define|/\*|\$\w+\s*:?=)`)

// keyOf returns the key, or the item of a list, on a line of YAML.
func keyOf(line string) string {
	line = strings.TrimSpace(line)
	for strings.HasPrefix(line, "- ") {
		line = strings.TrimSpace(line[2:])
	}
	if i := strings.Index(line+" ", ": "); i > 0 {
		line = line[:i]
	} else {
		line = strings.TrimSuffix(line, ":")
	}
	return strings.Trim(line, `"'`)
}
