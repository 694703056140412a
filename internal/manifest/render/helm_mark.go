package render

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template/parse"
)

// A mark is a line of a template. In a marked copy of a chart, a comment with the number of a
// mark is before each end of a line that a template prints, so that the lines of what is
// rendered can be assigned to lines of templates. Only text that a template prints as it is
// has marks: what a function returns has none.
type mark struct {
	file string
	line int // from 1; 0 if nothing is known
}

// marked matches a mark in what was rendered. A comment changes nothing, neither in YAML nor
// for the functions that parse it.
var marked = regexp.MustCompile(` ?#@m([0-9]+)@`)

// maxTemplate bounds the templates that are parsed here, because the parser is recursive.
const maxTemplate = 1 << 20

// parseTemplate returns the templates in a file: that of the file itself, and those that it
// defines by name.
func parseTemplate(name string, content []byte) (map[string]*parse.Tree, error) {
	if len(content) > maxTemplate {
		return nil, fmt.Errorf("larger than %d MiB", maxTemplate>>20)
	}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	_, err := tree.Parse(string(content), "", "", set)
	return set, err
}

// isTemplate reports whether a file of a chart is a template.
func isTemplate(name string) bool {
	return slices.Contains(strings.Split(path.Dir(name), "/"), "templates") && path.Base(name) != "NOTES.txt"
}

// mark returns a template with marks. Without helpers, templates that are defined by name
// have none, because functions can compare or cut what they print.
func (c *chart) mark(name string, content []byte, helpers bool) []byte {
	set, err := parseTemplate(name, content)
	if err != nil {
		return content
	}
	var ends []int // offsets of ends of lines
	for of, tree := range set {
		if !helpers && of != name {
			continue
		}
		eachNode(tree.Root, func(n parse.Node) {
			if text, ok := n.(*parse.TextNode); ok && bytes.HasPrefix(content[min(int(text.Pos), len(content)):], text.Text) {
				ends = append(ends, lineEnds(content, text)...)
			}
		})
	}
	sort.Ints(ends)
	var b bytes.Buffer
	from, line := 0, 1
	for _, end := range ends {
		line += bytes.Count(content[from:end], []byte("\n"))
		b.Write(content[from:end])
		fmt.Fprintf(&b, " #@m%d@", len(c.all))
		c.all = append(c.all, mark{name, line})
		from = end
	}
	b.Write(content[from:])
	return b.Bytes()
}

// unmarkable matches a line that can print an empty one. In a block of text, a mark on it
// would end the block.
var unmarkable = regexp.MustCompile(`^\s*(\{\{ *(if|else|end|with|range|define|/\*|\$).*)?$`)

// lineEnds returns the offsets in a file at which lines of a text end.
func lineEnds(content []byte, n *parse.TextNode) []int {
	var ends []int
	for i, char := range n.Text {
		if char != '\n' {
			continue
		}
		if i > 0 && n.Text[i-1] == '\r' {
			i--
		}
		end := int(n.Pos) + i
		if line := content[bytes.LastIndexByte(content[:end], '\n')+1 : end]; !unmarkable.Match(line) {
			ends = append(ends, end)
		}
	}
	return ends
}

// eachNode calls do with a node and all below it, pipelines excepted.
func eachNode(n parse.Node, do func(parse.Node)) {
	do(n)
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				eachNode(child, do)
			}
		}
	case *parse.IfNode:
		eachNode(n.List, do)
		eachNode(n.ElseList, do)
	case *parse.WithNode:
		eachNode(n.List, do)
		eachNode(n.ElseList, do)
	case *parse.RangeNode:
		eachNode(n.List, do)
		eachNode(n.ElseList, do)
	}
}

// assign returns the marks of the lines of rendered documents, from those of a marked copy.
// The marks of a document are nil if the copy has no such document.
func (c *chart) assign(parts, copies []part) [][]mark {
	copies = slices.DeleteFunc(copies, func(p part) bool { return len(bytes.TrimSpace(marked.ReplaceAll(p.data, nil))) == 0 })
	lines := make([][]mark, len(parts))
	of := map[string][]part{} // by template: with marks, a template can print another number of documents
	for _, p := range copies {
		of[p.source] = append(of[p.source], p)
	}
	for i, p := range parts {
		if left := of[p.source]; len(left) > 0 {
			lines[i], of[p.source] = c.assignLines(p.data, left[0].data), left[1:]
		}
	}
	return lines
}

func (c *chart) assignLines(plain, copied []byte) []mark {
	lines, with := strings.Split(string(plain), "\n"), strings.Split(string(copied), "\n")
	marks := make([]mark, len(lines))
	i := 0
	for j := 0; j < len(with) && i < len(lines); {
		if marked.ReplaceAllString(with[j], "") == lines[i] {
			marks[i] = c.markOf(with[j])
			i, j = i+1, j+1
			continue
		}
		skip, skipCopied := resume(lines[i:], with[j:])
		if skip == skipCopied { // lines that differ with each rendering, such as random values
			for n := range skip {
				marks[i+n] = c.markOf(with[j+n])
			}
		}
		i, j = i+skip, j+skipCopied
	}
	return marks
}

// markOf returns the mark at the end of a line.
func (c *chart) markOf(line string) mark {
	found := marked.FindAllStringSubmatch(line, -1)
	if len(found) == 0 {
		return mark{}
	}
	n, err := strconv.Atoi(found[len(found)-1][1])
	if err != nil || n >= len(c.all) {
		return mark{}
	}
	return c.all[n]
}

// maxSkip bounds how far resume looks.
const maxSkip = 60

// resume returns how many lines have to be skipped in each text until they are equal again.
// A mark keeps lines that Helm or a function cuts off where they are empty.
func resume(lines, with []string) (skip, skipCopied int) {
	for sum := 1; sum <= 2*maxSkip; sum++ {
		for skip := 0; skip <= sum; skip++ {
			if skip < len(lines) && sum-skip < len(with) && lines[skip] == marked.ReplaceAllString(with[sum-skip], "") {
				return skip, sum - skip
			}
		}
	}
	return len(lines), len(with)
}
