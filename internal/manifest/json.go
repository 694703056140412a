package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// looksLikeJSON reports whether data may be JSON. JSON is not parsed as YAML,
// because YAML does not accept escaped surrogate pairs and limits the length of
// keys.
func looksLikeJSON(data []byte) bool {
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[')
}

// parseJSON returns the root of each document of a JSON file.
func parseJSON(name string, t *text, ambiguous *Errors) ([]*node, error) {
	p := &jsonParser{name: name, text: t, ambiguous: ambiguous, decoder: json.NewDecoder(bytes.NewReader(t.data))}
	// A float64 would lose digits of large numbers.
	p.decoder.UseNumber()
	var roots []*node
	for {
		root, err := p.value(1)
		if errors.Is(err, io.EOF) && p.open == 0 {
			return roots, nil
		}
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
}

type jsonParser struct {
	name    string
	text    *text
	decoder *json.Decoder
	open    int // objects and arrays being read

	ambiguous *Errors // as that of a converter

	line, col, at int // the last place found; places only move forward
}

// A jsonError is an error in JSON text, as opposed to text that is not JSON and
// may be YAML.
type jsonError struct{ Errors }

func (p *jsonParser) fail(n *node, hint, format string, args ...any) error {
	return jsonError{Errors{{File: p.name, Line: n.line, Column: n.col, Detail: fmt.Sprintf(format, args...), Hint: hint}}}
}

// value parses one value. At the end of the input it returns io.EOF, not
// wrapped.
func (p *jsonParser) value(depth int) (*node, error) {
	n := &node{weight: 1, height: 1}
	p.place(n)
	if depth > heightLimit {
		return nil, p.fail(n, "", "nested more than %d levels deep", heightLimit)
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	n.end = int(p.decoder.InputOffset())
	switch v := token.(type) {
	case json.Delim:
		return p.collection(n, v, depth)
	case string:
		n.kind, n.style, n.text = scalarNode, doubleStyle, v
		n.weight += len(v) / 256
	case json.Number:
		n.kind, n.text = scalarNode, v.String()
	case bool:
		n.kind, n.text = scalarNode, fmt.Sprint(v)
	case nil:
		n.kind, n.text = scalarNode, "null"
	}
	return n, nil
}

// place sets the position of the next value.
func (p *jsonParser) place(n *node) {
	at := int(p.decoder.InputOffset())
	for at < len(p.text.data) && bytes.IndexByte([]byte(" \t\r\n,:"), p.text.data[at]) >= 0 {
		at++
	}
	for p.line < len(p.text.lines) && p.text.lines[p.line] <= at {
		p.at, p.col = p.text.lines[p.line], 1
		p.line++
	}
	p.col += utf8.RuneCount(p.text.data[p.at:at])
	p.at = at
	n.start, n.first, n.line, n.col = at, at, p.line, p.col
}

func (p *jsonParser) collection(n *node, open json.Delim, depth int) (*node, error) {
	p.open++
	n.style, n.kind = flowStyle, mappingNode
	if open == '[' {
		n.kind = sequenceNode
	}
	keys := keys{of: n}
	for p.decoder.More() {
		child, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if n.kind == sequenceNode {
			n.add(child)
			continue
		}
		first := keys.find(child)
		if first >= 0 {
			e := duplicateKey(p.name, child, n.children[first])
			if p.ambiguous == nil {
				return nil, jsonError{Errors{e}}
			}
			*p.ambiguous = append(*p.ambiguous, e)
		}
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.put(first, child, value)
		keys.add(child)
	}
	if _, err := p.decoder.Token(); err != nil {
		return nil, err
	}
	p.open--
	n.end = int(p.decoder.InputOffset())
	return n, nil
}

// jsonSyntaxError adds the position to an error of the JSON parser.
func jsonSyntaxError(name string, data []byte, err error) error {
	var syntax *json.SyntaxError
	at := len(data)
	if errors.As(err, &syntax) {
		at = min(int(syntax.Offset), len(data))
	}
	before := data[:at]
	line := bytes.Count(before, []byte{'\n'}) + 1
	col := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	detail := "not JSON: " + err.Error()
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		detail = "not JSON: it ends in the middle of a value"
	}
	return Errors{{File: name, Line: line, Column: max(col, 1), Detail: detail}}
}
