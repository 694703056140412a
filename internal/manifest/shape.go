package manifest

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Shaped returns a workload for each pod in an object of a kind that Parse does
// not decode (a Rollout, a PodTemplate, a custom resource), in the order of the
// file. A pod is any mapping with a list "containers" whose items have a name. Such
// a workload can be sealed but not run: its Object is nil. A pod that cannot be
// decoded is an error instead, because nothing is known about it.
func (f File) Shaped() ([]Workload, Errors) {
	var list []Workload
	var errs Errors
	for i, o := range f.objects {
		if o.typed != nil {
			continue
		}
		for _, at := range podsIn(o.node) {
			w := Workload{
				APIVersion: o.apiVersion, Kind: o.kind, Namespace: o.namespaceHere(), Name: o.nameHere(),
				file: o.file, index: i, at: o.at, node: o.node, prefix: at[:len(at)-1], spec: at,
			}
			if err := w.decodeTemplate(); err != nil {
				errs = append(errs, *err)
				continue
			}
			list = append(list, w)
		}
	}
	return list, errs.sorted()
}

// podsIn returns the paths of all pods in an object, from the top down. It does not
// follow aliases: what is behind one was visited where its anchor is, and cannot
// be edited by way of the alias.
func podsIn(root *node) []path {
	var found []path
	var visit func(n *node, at path)
	visit = func(n *node, at path) {
		if len(at) > 0 && n.kind == mappingNode && isPod(n) {
			found = append(found, at)
			return
		}
		switch n.kind {
		case mappingNode:
			for i := 0; i+1 < len(n.children); i += 2 {
				if name := n.children[i].keyName(); len(at) > 0 || name != "status" {
					visit(n.children[i+1], at.with(key(name)))
				}
			}
		case sequenceNode:
			for i, child := range n.children {
				visit(child, at.with(item(i)))
			}
		}
	}
	visit(root, nil)
	return found
}

// isPod reports whether a value has the shape of a pod's spec.
func isPod(n *node) bool {
	e, ok := n.get("containers")
	if !ok {
		return false
	}
	list := e.value.resolved()
	if list.kind != sequenceNode || len(list.children) == 0 {
		return false
	}
	for _, c := range list.children {
		name, ok := c.resolved().get("name")
		if !ok {
			return false
		}
		if _, ok := name.value.str(); !ok {
			return false
		}
	}
	return true
}

// decodeTemplate sets the workload's Template from the object. Unknown fields are
// allowed, because a custom resource may have more of them than a pod.
func (w *Workload) decodeTemplate() *FieldError {
	n, _ := w.node.find(w.spec)
	d := &decoder{file: w.file, at: w.spec}
	d.decode(n, reflect.ValueOf(&w.Template.Spec).Elem())
	for _, e := range d.errs {
		if e.Detail != unknownField {
			return &e
		}
	}
	defaultPod(&w.Template.Spec)
	for _, list := range []struct {
		field      string
		containers []corev1.Container
	}{{"initContainers", w.Template.Spec.InitContainers}, {"containers", w.Template.Spec.Containers}} {
		for i, c := range list.containers {
			if strings.TrimSpace(c.Image) == "" {
				e := w.Errorf(path{key("spec"), key(list.field), item(i)}.String(), "", "container %s has no image", c.Name)
				return &e
			}
		}
	}
	return nil
}
