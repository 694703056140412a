package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/text"
)

// YAMLPrinter prints results as YAML documents with the fields of JSON. Each begins
// with ---, so that several on one stream can be read.
type YAMLPrinter struct {
	Out io.Writer
}

// Print implements Printer.
func (p YAMLPrinter) Print(result Text) error {
	var encoded bytes.Buffer
	if err := writeJSON(&encoded, result); err != nil {
		return err
	}
	node, err := nodeOf(encoded.Bytes())
	if err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	var b bytes.Buffer
	b.WriteString("---\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(node), e.Close()); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	_, err = p.Out.Write(text.EscapeYAML(b.Bytes()))
	return err
}

// nodeOf returns a JSON document as YAML, with the fields in their order. YAML
// readers cannot do this: a character beyond U+FFFF is two escapes in JSON.
func nodeOf(document []byte) (*yaml.Node, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	return readNode(d)
}

func readNode(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if v == '[' {
			n.Kind = yaml.SequenceNode
		}
		for d.More() {
			child, err := readNode(d) // the names of fields are values, too
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		_, err := d.Token() // the closing one
		return n, err
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}, nil
	case string:
		n := &yaml.Node{}
		err := n.Encode(v) // quotes what YAML 1.1 reads as something else, such as "no"
		if text.EscapeLines(v) != v {
			n.Style = yaml.DoubleQuotedStyle // for EscapeYAML
		}
		return n, err
	default:
		n := &yaml.Node{}
		return n, n.Encode(v) // bool or nil
	}
}
