package manifest

import (
	"fmt"
)

// An Action is the effect of an Op at its path.
type Action string

// The actions.
const (
	// Set sets a field or replaces a scalar. It adds the mappings on the path
	// that are missing. It never replaces an existing list or mapping.
	Set Action = "set"
	// Append adds an item at the end of a list. It adds the list if that is
	// missing.
	Append Action = "append"
	// Prepend adds an item at the front of a list.
	Prepend Action = "prepend"
	// Add adds an object at the end of the file, as a document of its own.
	Add Action = "add"
)

// An Op is one edit of one object of a file.
type Op struct {
	Action Action
	Path   string // of the field in its object: spec.template.spec.volumes; empty for Add
	// Value is a string, bool, int or int64, a Fields, a []any of these, or a
	// []string, which is written on one line.
	Value any

	object int // index in the file
}

// String returns the action and the path of the op.
func (op Op) String() string { return fmt.Sprintf("%s %s", op.Action, op.Path) }

// Fields is an ordered mapping, for the values of an Op.
type Fields []Field

// A Field is one key of Fields.
type Field struct {
	Key   string
	Value any
}

// Set returns an op that sets a field of the pod: "spec.hostname".
func (w Workload) Set(fieldPath string, value any) Op { return w.op(Set, fieldPath, value) }

// Append returns an op that appends to a list of the pod: "spec.volumes".
func (w Workload) Append(fieldPath string, item any) Op { return w.op(Append, fieldPath, item) }

// Prepend returns an op that adds an item at the front of a list of the pod.
func (w Workload) Prepend(fieldPath string, item any) Op { return w.op(Prepend, fieldPath, item) }

func (w Workload) op(a Action, fieldPath string, value any) Op {
	return Op{Action: a, Path: w.Path(fieldPath), Value: value, object: w.index}
}

// Annotate returns an op that sets an annotation of the object itself.
func (w Workload) Annotate(name, value string) Op {
	at := path{key("metadata"), key("annotations"), key(name)}
	return Op{Action: Set, Path: at.String(), Value: value, object: w.index}
}

// AnnotatePod returns an op that sets an annotation of the pods.
func (w Workload) AnnotatePod(name, value string) Op {
	at := w.prefix.with(key("metadata"), key("annotations"), key(name))
	return Op{Action: Set, Path: at.String(), Value: value, object: w.index}
}

// newNode returns the node of an op's value.
func newNode(value any) (*node, error) {
	n := &node{kind: scalarNode, start: -1, first: -1, made: true}
	switch v := value.(type) {
	case string:
		n.text, n.tag = v, "!!str"
	case bool, int, int64:
		n.text = fmt.Sprint(v)
	case []string:
		n.kind, n.style = sequenceNode, flowStyle
		for _, s := range v {
			child, _ := newNode(s)
			child.style = doubleStyle
			n.children = append(n.children, child)
		}
	case []any:
		n.kind = sequenceNode
		for _, one := range v {
			child, err := newNode(one)
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, child)
		}
	case Fields:
		n.kind = mappingNode
		for _, f := range v {
			k, _ := newNode(f.Key)
			child, err := newNode(f.Value)
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, k, child)
		}
	default:
		return nil, fmt.Errorf("cannot write a %T into a manifest", value)
	}
	return n, nil
}
