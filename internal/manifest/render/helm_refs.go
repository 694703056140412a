package render

import (
	"slices"
	"strings"
	"text/template/parse"
)

// A symbol is what an expression of a template can be: fields below the root of the data,
// such as Values, image, tag; "*" is any item or key. A dict has symbols by name.
type symbol struct {
	paths [][]string
	dict  map[string]symbol
}

var rootSymbol = symbol{paths: [][]string{{}}}

// field returns a field of a symbol.
func (s symbol) field(names ...string) symbol {
	if len(names) == 0 {
		return s
	}
	if in, ok := s.dict[names[0]]; ok {
		return in.field(names[1:]...)
	}
	var of symbol
	for _, p := range s.paths {
		of.paths = append(of.paths, append(slices.Clone(p), names...))
	}
	return of
}

// with returns what is one of two symbols.
func (s symbol) with(other symbol) symbol {
	for _, p := range other.paths {
		if len(s.paths) < maxPaths && !slices.ContainsFunc(s.paths, func(q []string) bool { return slices.Equal(p, q) }) {
			s.paths = append(s.paths[:len(s.paths):len(s.paths)], p)
		}
	}
	for _, in := range other.dict {
		s = s.with(in)
	}
	return s
}

// Limits of the analysis: templates can call each other.
const (
	maxPaths  = 100
	maxCalls  = 6
	maxSteps  = 500_000 // of all analyses of a chart
	maxFields = 50      // that a "*" stands for
)

// An analysis finds the values that lines of templates print.
type analysis struct {
	named map[string]*parse.Tree // templates by name
	steps int
}

// A scope is what names mean in a part of a template.
type scope struct {
	dot   symbol
	root  symbol // $
	vars  map[string]symbol
	calls int
	print func(at parse.Pos, s symbol) // called for each action that prints
}

func (s scope) inside(dot symbol) scope {
	vars := make(map[string]symbol, len(s.vars))
	for name, v := range s.vars {
		vars[name] = v
	}
	s.dot, s.vars = dot, vars
	return s
}

// walk follows the nodes of a template.
func (a *analysis) walk(n parse.Node, s scope) {
	if a.steps++; a.steps > maxSteps {
		return
	}
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				a.walk(child, s)
			}
		}
	case *parse.ActionNode:
		value := a.pipe(n.Pipe, s)
		if len(n.Pipe.Decl) == 0 {
			s.print(n.Pos, value)
		}
	case *parse.TemplateNode:
		dot := symbol{}
		if n.Pipe != nil {
			dot = a.pipe(n.Pipe, s)
		}
		s.print(n.Pos, a.call(n.Name, dot, s))
	case *parse.IfNode:
		in := s.inside(s.dot)
		a.pipe(n.Pipe, in)
		a.walk(n.List, in)
		a.walk(n.ElseList, in)
		for name := range s.vars { // it can set variables of the outside
			s.vars[name] = s.vars[name].with(in.vars[name])
		}
	case *parse.WithNode:
		in := s.inside(s.dot)
		in.dot = a.pipe(n.Pipe, in)
		a.walk(n.List, in)
		a.walk(n.ElseList, s.inside(s.dot))
	case *parse.RangeNode:
		in := s.inside(s.dot)
		item := a.pipe(n.Pipe, in).field("*")
		for _, v := range n.Pipe.Decl {
			in.vars[v.Ident[0]] = item
		}
		in.dot = item
		a.walk(n.List, in)
		a.walk(n.ElseList, s.inside(s.dot))
	}
}

// pipe returns what a pipeline can be, and sets the variables that it declares.
func (a *analysis) pipe(p *parse.PipeNode, s scope) symbol {
	var value symbol
	for i, command := range p.Cmds {
		one := a.command(command, s)
		if i == 0 {
			value = one
		} else {
			value = value.with(one)
		}
	}
	for _, v := range p.Decl {
		if p.IsAssign {
			value = s.vars[v.Ident[0]].with(value)
		}
		s.vars[v.Ident[0]] = value
	}
	return value
}

// command returns what a call of a function can be: with some exceptions, any of its
// arguments.
func (a *analysis) command(c *parse.CommandNode, s scope) symbol {
	name, _ := c.Args[0].(*parse.IdentifierNode)
	arg := func(i int) symbol { return a.operand(c.Args[i], s) }
	text := func(i int) string {
		if i < len(c.Args) {
			if t, ok := c.Args[i].(*parse.StringNode); ok {
				return t.Text
			}
		}
		return ""
	}
	switch {
	case name == nil && len(c.Args) == 1:
		return arg(0)
	case name == nil:
	case name.Ident == "dict":
		d := symbol{dict: map[string]symbol{}}
		for i := 1; i+1 < len(c.Args); i += 2 {
			d.dict[text(i)] = arg(i + 1)
		}
		return d
	case (name.Ident == "index" || name.Ident == "get" || name.Ident == "dig") && len(c.Args) > 2:
		return a.index(c, s, text)
	case name.Ident == "include" && len(c.Args) > 2:
		return a.call(text(1), arg(2), s).with(arg(2).withoutRoot())
	}
	var any symbol
	for i := range c.Args {
		any = any.with(arg(i))
	}
	return any
}

// index returns the field that index, get or dig looks up.
func (a *analysis) index(c *parse.CommandNode, s scope, text func(int) string) symbol {
	of := a.operand(c.Args[1], s)
	from, to := 2, len(c.Args)
	if name := c.Args[0].(*parse.IdentifierNode); name.Ident == "dig" {
		of, from, to = a.operand(c.Args[len(c.Args)-1], s), 1, len(c.Args)-2
	}
	for i := from; i < to; i++ {
		if t := text(i); t != "" {
			of = of.field(t)
		} else {
			of = of.field("*")
		}
	}
	return of
}

// withoutRoot leaves out the whole data, which is the argument of most named templates.
func (s symbol) withoutRoot() symbol {
	var of symbol
	for _, in := range s.dict {
		of = of.with(in.withoutRoot())
	}
	for _, p := range s.paths {
		if len(p) > 1 {
			of.paths = append(of.paths, p)
		}
	}
	return of
}

// operand returns what an argument can be.
func (a *analysis) operand(n parse.Node, s scope) symbol {
	if a.steps++; a.steps > maxSteps {
		return symbol{}
	}
	switch n := n.(type) {
	case *parse.DotNode:
		return s.dot
	case *parse.FieldNode:
		return s.dot.field(n.Ident...)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return s.root.field(n.Ident[1:]...)
		}
		return s.vars[n.Ident[0]].field(n.Ident[1:]...)
	case *parse.ChainNode:
		return a.operand(n.Node, s).field(n.Field...)
	case *parse.PipeNode:
		return a.pipe(n, s)
	}
	return symbol{}
}

// call returns what a named template can print.
func (a *analysis) call(name string, dot symbol, s scope) symbol {
	tree := a.named[name]
	if tree == nil || s.calls >= maxCalls {
		return symbol{}
	}
	var all symbol
	a.walk(tree.Root, scope{
		dot: dot, root: dot, vars: map[string]symbol{}, calls: s.calls + 1,
		print: func(_ parse.Pos, value symbol) { all = all.with(value) },
	})
	return all
}

// analyse returns the values that each line of a template can print.
func (c *chart) analyse(name string) map[int][][]string {
	if found, ok := c.printed[name]; ok {
		return found
	}
	found := map[int][][]string{}
	c.printed[name] = found
	set, err := parseTemplate(name, c.content[name])
	if err != nil {
		return found
	}
	a := c.analysis()
	for _, tree := range set {
		a.walk(tree.Root, scope{dot: rootSymbol, root: rootSymbol, vars: map[string]symbol{}, print: func(at parse.Pos, s symbol) {
			line := 1 + strings.Count(string(c.content[name][:at]), "\n")
			found[line] = append(found[line], s.with(symbol{dict: s.dict}).paths...)
		}})
	}
	return found
}

// analysis returns the analysis with the named templates of all files.
func (c *chart) analysis() *analysis {
	if c.calls == nil {
		c.calls = &analysis{named: map[string]*parse.Tree{}}
		for name, content := range c.content {
			if !isTemplate(name) {
				continue
			}
			set, err := parseTemplate(name, content)
			if err != nil {
				continue
			}
			for of, tree := range set {
				c.calls.named[of] = tree
			}
		}
	}
	return c.calls
}
