package manifest

import (
	"fmt"
	"strings"
)

// A Document is one YAML or JSON document, read leniently: whatever a kube-apiserver
// could read is read, and nothing is decoded, defaulted or validated.
type Document struct {
	File    string // name of the file
	Line    int    // of the document's first character in the file, from 1
	Objects []Resource

	// NotUnderstood lists what could not be read, so that nothing is known about it.
	NotUnderstood Errors
	// Ambiguous lists what readers of YAML understand differently. It is read as
	// kubectl reads it.
	Ambiguous Errors

	// RenderedBy is the folder of the chart or overlay that was rendered to the document;
	// empty if it was read. Lines in it are none of a file: Origin has those.
	RenderedBy string
	Origin     Origin

	// PatchOf is the kustomization that the document is a patch of, if it was read as it is
	// written: it is a part of an object.
	PatchOf string

	// Offset is that of the document's chunk in the file, if Exact is set; see Chunk.
	Offset int64
	Exact  bool

	text  *text
	file  *File // that the document is in; nil if it could not be read
	index int   // of the document in file
}

// A Resource is a Kubernetes object of a document, or an item of a List, or any other
// value, which then has no Kind.
type Resource struct {
	APIVersion, Kind string
	Namespace, Name  string // as written; empty if they are not
	Value            Value
	Pods             []PodSpec
}

// A PodSpec is a value with the shape of a pod's spec.
type PodSpec struct {
	Path  string // in the object: spec.template.spec
	Named string // Path, with the names of items of lists instead of their indexes: spec.steps[build].spec
	Value Value

	// Template is the mapping that the spec is in, with the metadata of the pod: a pod
	// template, or the object itself. It does not exist if the spec is an item of a list.
	Template Value
}

// String returns the kind, namespace and name.
func (o Resource) String() string {
	kind := o.Kind
	if kind == "" {
		kind = "an object without a kind"
	}
	switch {
	case o.Name == "":
		return kind
	case o.Namespace == "":
		return kind + " " + o.Name
	}
	return kind + " " + o.Namespace + "/" + o.Name
}

// HasPods reports whether there is a pod in the document.
func (d *Document) HasPods() bool {
	for _, o := range d.Objects {
		if len(o.Pods) > 0 {
			return true
		}
	}
	return false
}

// ReadDocuments reads the documents of a part of a file that begins at a line. Empty
// ones are left out. If the part cannot be read, it is one document that is not
// understood.
func ReadDocuments(file string, line int, data []byte) []Document {
	var ambiguous Errors
	f := File{Name: file, data: data, ambiguous: &ambiguous}
	err := checkUTF8(file, data)
	if err == nil {
		err = checkSize(file, data)
	}
	if err == nil {
		err = f.parse()
	}
	if err != nil {
		d := Document{File: file, Line: line, NotUnderstood: asErrors(file, err)}
		d.NotUnderstood.move(line)
		return []Document{d}
	}
	var list []Document
	for i, root := range f.roots {
		d := Document{File: file, Line: line, text: f.text, file: &f, index: i}
		if i == 0 {
			d.Ambiguous = ambiguous // nearly always there is only one document
			d.Ambiguous.move(line)
			for i := range d.Ambiguous {
				d.Ambiguous[i].Hint = "the last one counts for kubectl; others refuse it"
			}
		}
		d.collect(root)
		d.NotUnderstood.move(line)
		list = append(list, d)
	}
	return list
}

func asErrors(file string, err error) Errors {
	if list, ok := err.(Errors); ok {
		return list
	}
	return Errors{{File: file, Line: 1, Detail: err.Error()}}
}

// move moves errors of a part to their lines in the file.
func (e Errors) move(line int) {
	for i := range e {
		e[i].Line = max(e[i].Line, 1) + line - 1
	}
}

// maxSigns limits the characters of a document that separate values, because a value
// takes about 300 bytes of memory while it is parsed, and can take two in the file.
const maxSigns = 1 << 20

// checkSize refuses a document that would take too much memory.
func checkSize(file string, data []byte) error {
	signs := 0
	for _, c := range data {
		switch c {
		case ',', ':', '\n', '[', '{', '-', '?', '*':
			signs++
		}
	}
	if len(data) <= MaxFileSize && signs <= maxSigns {
		return nil
	}
	return Errors{{
		File: file, Line: 1, Detail: fmt.Sprintf("a document that is larger than %d MiB or has millions of values", MaxFileSize>>20),
		Hint: "write its objects as documents of their own, separated by lines of ---",
	}}
}

// collect adds the objects at a value: its items if it is a List.
func (d *Document) collect(root *node) {
	// No document has more values than bytes.
	c := collector{Document: d, budget: aliasBudget + len(d.text.data)}
	c.collect(root, "", "")
}

// Limits of what aliases can do in a document. Without them, a small one could have
// millions of findings.
const (
	aliasBudget   = 20_000  // values that may be visited, beside those of the document
	maxContainers = 100_000 // in all pods of a document
)

type collector struct {
	*Document
	budget     int // of values that may still be visited
	containers int
}

func (c *collector) fail(n *node, at path, hint, format string, args ...any) {
	c.NotUnderstood = append(c.NotUnderstood, FieldError{
		File: c.File, Line: n.line, Column: n.col, Path: at.String(), Detail: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (c *collector) collect(root *node, apiVersion, kind string) {
	n := root.resolved()
	if c.budget < 0 {
		return
	}
	if n.kind == sequenceNode { // no object, but a habit of programs that write JSON
		for _, child := range n.children {
			c.collect(child, "", "")
		}
		return
	}
	v := Value{n: root}
	o := Resource{APIVersion: apiVersion, Kind: kind, Value: v}
	if s := v.Get("apiVersion").Text(); s != "" {
		o.APIVersion = s
	}
	if s := v.Get("kind").Text(); s != "" {
		o.Kind = s
	}
	items := v.Get("items")
	list := items.IsList() && strings.HasSuffix(o.Kind, "List")
	kindOfItems := strings.TrimSuffix(o.Kind, "List")
	if list && isPlainList(o) {
		if kindOfItems == "" {
			o.APIVersion = "" // of a plain List: each item names its own
		}
		for _, child := range items.n.resolved().children {
			c.collect(child, o.APIVersion, kindOfItems)
		}
		return
	}
	meta := v.Get("metadata")
	o.Name, o.Namespace = meta.Get("name").Text(), meta.Get("namespace").Text()
	if o.Name == "" {
		o.Name = meta.Get("generateName").Text()
	}
	var objects []*node // of a list that is more than a list
	switch {
	case list:
		objects = c.customList(&o, n)
	case n.kind == mappingNode && !describesPods(o):
		c.pods(&o, v, Value{}, nil)
	}
	c.expect(&o)
	c.Objects = append(c.Objects, o)
	for _, child := range objects {
		c.collect(child, o.APIVersion, kindOfItems)
	}
}

// customList adds the pods of an object of a custom kind that has a list of items, and
// returns those items that are objects of their own.
func (c *collector) customList(o *Resource, n *node) (objects []*node) {
	patterns := describesPods(*o)
	for _, e := range n.entries() {
		at := path{key(e.name)}
		value := Value{e.value, e.key}
		switch {
		case value.n.resolved().kind == scalarNode, e.name == "status":
		case e.name != "items" && !patterns:
			c.pods(o, value, o.Value, at)
		case e.name != "items":
		default:
			for i, one := range value.Items() {
				switch {
				case one.Get("kind").IsSet() || one.Get("metadata").IsSet():
					objects = append(objects, one.n)
				case one.n.resolved().kind != scalarNode && !patterns:
					c.pods(o, one, Value{}, at.with(namedItem(i, one)))
				}
			}
		}
	}
	return objects
}

// isPlainList reports whether an object whose kind ends in List has nothing but items:
// it is one of a kube-apiserver, and not an object of a custom kind of this name.
func isPlainList(o Resource) bool {
	if o.Kind == "List" && group(o.APIVersion) == "" {
		return true
	}
	for name := range o.Value.Entries() {
		switch name {
		case "apiVersion", "kind", "metadata", "items":
		default:
			return false
		}
	}
	return true
}

// describesPods reports whether an object has patterns or schemas of pods and no pods:
// policies and definitions.
func describesPods(o Resource) bool {
	switch group(o.APIVersion) {
	case "kyverno.io", "policies.kyverno.io", "apiextensions.k8s.io", "admissionregistration.k8s.io", "templates.gatekeeper.sh", "mutations.gatekeeper.sh", "constraints.gatekeeper.sh":
		return true
	}
	return false
}

// containerLists are the fields of a pod that hold containers.
var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

// ContainerLists returns the names of the fields of a pod's spec that hold containers,
// in the order in which these start.
func ContainerLists() []string { return append([]string(nil), containerLists...) }

// pods adds the pods at and below a value, which is in the mapping parent. Unlike podsIn it follows aliases, because a
// pod behind an alias runs, too, even if it cannot be edited there.
func (c *collector) pods(o *Resource, v, parent Value, at path) {
	n := v.n.resolved()
	if c.budget--; c.budget < 0 {
		if c.budget == -1 {
			c.fail(v.n, at, "", "aliases multiply this document to too many values")
		}
		return
	}
	pod := false
	if n.kind == mappingNode && len(at) > 0 {
		if pod = hasContainers(n); pod {
			for _, field := range containerLists {
				if list := (Value{n: n}).Get(field); list.IsList() {
					c.containers += len(list.n.resolved().children)
				}
			}
			if c.containers > maxContainers {
				c.fail(v.n, at, "", "a document with more than %d containers", maxContainers)
				c.budget = -1
				return
			}
			o.Pods = append(o.Pods, PodSpec{Path: at.String(), Named: at.named(), Value: v, Template: parent})
			c.wellFormed(n, at)
		}
	}
	switch n.kind {
	case mappingNode:
		c.below(o, n, at, pod)
	case sequenceNode:
		for i, child := range n.children {
			if child.resolved().kind != scalarNode {
				v := Value{n: child}
				c.pods(o, v, Value{}, at.with(namedItem(i, v)))
			}
		}
	}
}

// below visits the values of a mapping. The fields of a pod that cannot have another
// pod in them are left out, and so is the status of the object.
func (c *collector) below(o *Resource, n *node, at path, pod bool) {
	visit := func(name string, key, value *node) {
		switch {
		case value.resolved().kind == scalarNode, len(at) == 0 && name == "status":
		case pod && (strings.HasSuffix(name, "ontainers") || name == "volumes"):
		default:
			c.pods(o, Value{value, key}, Value{n: n}, at.with(step{key: name, index: -1}))
		}
	}
	merges := false
	for i := 0; i+1 < len(n.children) && !merges; i += 2 {
		merges = n.children[i].isMerge()
	}
	if merges {
		for _, e := range n.entries() {
			visit(e.name, e.key, e.value)
		}
		return
	}
	for i := 0; i+1 < len(n.children); i += 2 {
		visit(n.children[i].keyName(), n.children[i], n.children[i+1])
	}
}

// hasContainers reports whether a mapping has a list of containers: mappings, at least
// one of which has a name or an image. Not all need a name, because Knative gives one.
func hasContainers(n *node) bool {
	for _, field := range containerLists {
		list := Value{n: n}.Get(field)
		if !list.IsList() {
			continue
		}
		named := false
		for _, c := range list.Items() {
			if !c.IsMapping() {
				named = false
				break
			}
			named = named || c.Get("name").Exists() || c.Get("image").Exists()
		}
		if named {
			return true
		}
	}
	return false
}

// wellFormed adds the fields of a pod that no rule could look into.
func (c *collector) wellFormed(n *node, at path) {
	lists := func(v Value, at path, fields ...string) {
		for _, field := range fields {
			list := v.Get(field)
			if list.IsSet() && !list.IsList() {
				c.fail(list.key, at.with(key(field)), "", "expected a list, found %s", list.Describe())
			}
			for i, one := range list.Items() {
				if !one.IsMapping() {
					c.fail(one.n, at.with(key(field), item(i)), "", "expected a mapping, found %s", one.Describe())
				}
			}
		}
	}
	spec := Value{n: n}
	lists(spec, at, append([]string{"volumes"}, containerLists...)...)
	for _, field := range containerLists {
		for i, one := range spec.Get(field).Items() {
			lists(one, at.with(key(field), item(i)), "volumeMounts")
			if sc := one.Get("securityContext"); sc.IsSet() && !sc.IsMapping() {
				c.fail(sc.key, at.with(key(field), item(i), key("securityContext")), "", "expected a mapping, found %s", sc.Describe())
			}
		}
	}
}

// podOf returns the path of the pod in an object of a kind of Kubernetes that cannot be
// without one, or "".
func podOf(apiVersion, kind string) string {
	switch group(apiVersion) + "/" + kind {
	case "/Pod":
		return "spec"
	case "/PodTemplate":
		return "template.spec"
	case "/ReplicationController", "apps/Deployment", "apps/ReplicaSet", "apps/DaemonSet", "apps/StatefulSet", "batch/Job",
		"extensions/Deployment", "extensions/ReplicaSet", "extensions/DaemonSet":
		return "spec.template.spec"
	case "batch/CronJob":
		return "spec.jobTemplate.spec.template.spec"
	}
	return ""
}

// expect reports an object that must have a pod where none was found. It would pass
// as an object without a pod otherwise.
func (c *collector) expect(o *Resource) {
	want := podOf(o.APIVersion, o.Kind)
	if want == "" || c.budget < 0 {
		return
	}
	for _, p := range o.Pods {
		if p.Path == want {
			return
		}
	}
	names := append(strings.Split(want, "."), "containers")
	last, _ := o.Value.Find(names...)
	n := last.key
	if n == nil {
		n = last.n
	}
	at, _ := parsePath(want)
	c.fail(n, at.with(key("containers")), "if it is a patch, render the overlay first: kubectl kustomize DIR | adamant check -", "a %s without containers", o.Kind)
}
