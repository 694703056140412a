package manifest

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// InNamespace returns the file with a namespace for the objects without one, as kubectl
// --namespace gives it to them. An object of another namespace is an error of type
// Errors. The result cannot be edited. An empty namespace changes nothing.
func (f File) InNamespace(namespace string) (File, error) {
	if namespace == "" {
		return f, nil
	}
	if err := f.CheckNamespace(namespace); err != nil {
		return File{}, err
	}
	f.objects = slices.Clone(f.objects)
	for i := range f.objects {
		o := &f.objects[i]
		if o.namespace != "" {
			continue
		}
		o.namespace = namespace
		o.node = o.node.withNamespace(namespace)
		if object, ok := o.typed.(runtime.Object); ok {
			typed := object.DeepCopyObject()
			typed.(metav1.Object).SetNamespace(namespace)
			o.typed = typed
		}
	}
	return f, nil
}

// CheckNamespace returns an error for each object that has a namespace other than this.
func (f File) CheckNamespace(namespace string) error {
	var errs Errors
	for _, o := range f.objects {
		if o.namespace == "" || o.namespace == namespace {
			continue
		}
		place := o.node.findKey(path{key("metadata"), key("namespace")})
		errs = append(errs, FieldError{
			File: o.file, Line: place.line, Column: place.col, Path: "metadata.namespace",
			Detail: fmt.Sprintf("%s %s is of namespace %s, and --namespace is %s", o.kind, o.name, o.namespace, namespace),
			Hint:   "leave one of them out",
		})
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// withNamespace returns a copy of an object with metadata.namespace, which it does not
// have or which is empty.
func (n *node) withNamespace(namespace string) *node {
	metadata, ok := n.get("metadata")
	if !ok || metadata.value.resolved().kind != mappingNode {
		return n
	}
	old := metadata.value.resolved()
	inside := *old
	inside.children = nil
	for i := 0; i+1 < len(old.children); i += 2 {
		if old.children[i].keyName() != "namespace" {
			inside.children = append(inside.children, old.children[i], old.children[i+1])
		}
	}
	word := func(text string) *node {
		return &node{kind: scalarNode, style: doubleStyle, text: text, start: -1, line: old.line, col: old.col, made: true}
	}
	inside.children = append(inside.children, word("namespace"), word(namespace))
	object := *n
	object.children = nil
	for i := 0; i+1 < len(n.children); i += 2 {
		if n.children[i].isMerge() || n.children[i].keyName() != "metadata" {
			object.children = append(object.children, n.children[i], n.children[i+1])
		}
	}
	object.children = append(object.children, metadata.key, &inside)
	return &object
}
