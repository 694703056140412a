// Package manifest reads Kubernetes manifests, reports errors in them by line and
// field path, finds the pod templates in them, and edits them in place, changing
// no more bytes than necessary.
//
// It runs nothing, which package pod does, and does not decide which volumes a
// workload needs, which package profile does.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

// MaxFileSize is the size limit of a manifest, in bytes. Parsed, a file of
// short values takes about a hundred times its size.
const MaxFileSize = 32 << 20

// A File is a parsed manifest. No method changes it; Apply returns the bytes of
// an edited one.
type File struct {
	// Name is the name of the file in errors.
	Name string

	data    []byte
	bom     int // length of the byte order mark, which data does not have
	json    bool
	roots   []*node
	objects []object
	text    *text

	ambiguous *Errors // as that of a converter; nil if the file is read strictly

	parts []File // of a file that Join made
}

// An object is one Kubernetes object of a file, including the items of a List.
type object struct {
	file       string // name of the file
	doc        int    // index in roots
	at         path   // in the document: items[0] in a List
	node       *node
	apiVersion string
	kind       string
	namespace  string
	name       string

	generateName string // used if there is no name

	part, index int // of a joined file: which part it is from, and its index in that part

	typed any // *corev1.Pod, *appsv1.Deployment, …, with defaults; nil if the kind is not one that is decoded
}

// Parse parses the YAML or JSON in data: any number of documents, each one
// object or a List. It decodes objects of the kinds that are run here (see
// Workloads), ConfigMaps and Secrets strictly, checks them as a kube-apiserver
// does and sets its defaults; other objects only need a kind. It collects all
// errors in one error of type Errors.
func Parse(name string, data []byte) (File, error) {
	f := File{Name: name}
	if len(data) > MaxFileSize {
		return File{}, Errors{{File: name, Detail: fmt.Sprintf("larger than %d MiB", MaxFileSize>>20)}}
	}
	data, hasBOM := bytes.CutPrefix(data, []byte("\xEF\xBB\xBF"))
	if hasBOM {
		f.bom = 3
	}
	f.data = data
	if err := checkUTF8(name, data); err != nil {
		return File{}, err
	}
	if err := f.parse(); err != nil {
		return File{}, err
	}
	d := &decoder{file: name}
	for i, root := range f.roots {
		f.collect(d, i, nil, root, "", "")
	}
	f.check(d)
	if len(d.errs) > 0 {
		return File{}, d.errs.sorted()
	}
	return f, nil
}

func checkUTF8(name string, data []byte) error {
	if utf8.Valid(data) {
		return nil
	}
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return Errors{{File: name, Line: line, Detail: "not UTF-8 text", Hint: "convert it, e.g. with iconv -t UTF-8"}}
}

// parse sets the documents of the file.
func (f *File) parse() error {
	f.text = newText(f.data)
	if !looksLikeJSON(f.data) {
		roots, err := parseYAML(f.Name, f.text, f.ambiguous)
		f.roots = roots
		return err
	}
	roots, err := parseJSON(f.Name, f.text, f.ambiguous)
	if err == nil {
		f.roots, f.json = roots, true
		return nil
	}
	var problem jsonError
	if errors.As(err, &problem) {
		return problem.Errors
	}
	// Flow style YAML begins like JSON, but may have comments and unquoted
	// text.
	if f.ambiguous != nil {
		*f.ambiguous = nil
	}
	roots, yamlErr := parseYAML(f.Name, f.text, f.ambiguous)
	if yamlErr != nil && strings.HasSuffix(f.Name, ".json") {
		return jsonSyntaxError(f.Name, f.data, err)
	}
	f.roots = roots
	return yamlErr
}

// collect adds the object at root, or the items if that is a List.
func (f *File) collect(d *decoder, doc int, at path, root *node, apiVersion, kind string) {
	n := root.resolved()
	fail := func(detail, hint string) {
		d.errs = append(d.errs, FieldError{File: f.Name, Line: n.line, Column: n.col, Path: at.String(), Detail: detail, Hint: hint})
	}
	if n.kind != mappingNode {
		if n.isNull() {
			return
		}
		fail("expected a Kubernetes object, found "+describe(n), "")
		return
	}
	if e, ok := n.get("apiVersion"); ok {
		apiVersion, _ = e.value.str()
	}
	if e, ok := n.get("kind"); ok {
		kind, _ = e.value.str()
	}
	if apiVersion == "" || kind == "" {
		fail("not a Kubernetes object: apiVersion and kind must be set", f.notAnObjectHint(n))
		return
	}
	if items, ok := n.get("items"); ok && strings.HasSuffix(kind, "List") {
		f.collectItems(d, doc, at, items.value, apiVersion, strings.TrimSuffix(kind, "List"))
		return
	}
	o := object{file: f.Name, doc: doc, at: at, node: n, apiVersion: apiVersion, kind: kind}
	if meta, ok := n.get("metadata"); ok {
		if e, ok := meta.value.get("name"); ok {
			o.name, _ = e.value.str()
		}
		if e, ok := meta.value.get("generateName"); ok {
			o.generateName, _ = e.value.str()
		}
		if e, ok := meta.value.get("namespace"); ok {
			o.namespace, _ = e.value.str()
		}
	}
	f.objects = append(f.objects, o)
}

func (f *File) collectItems(d *decoder, doc int, at path, items *node, apiVersion, kind string) {
	items = items.resolved()
	if items.isNull() {
		return
	}
	if items.kind != sequenceNode {
		d.errs = append(d.errs, FieldError{File: f.Name, Line: items.line, Column: items.col, Path: at.with(key("items")).String(), Detail: "expected a list, found " + describe(items)})
		return
	}
	if kind == "" {
		apiVersion = "" // of a plain List: each item names its own
	}
	for i, child := range items.children {
		f.collect(d, doc, at.with(key("items"), item(i)), child, apiVersion, kind)
	}
}

func (f *File) notAnObjectHint(n *node) string {
	for _, name := range []string{"resources", "bases", "patches"} {
		if _, ok := n.get(name); ok {
			return "this looks like a kustomization; render it first with kubectl kustomize"
		}
	}
	if _, ok := n.get("services"); ok {
		return "this looks like a Compose file; Kubernetes manifests are needed"
	}
	return "both stand at the top of each document"
}

// check decodes, defaults and validates the objects of known kinds.
func (f *File) check(d *decoder) {
	names := map[[3]string]place{}
	for i := range f.objects {
		o := &f.objects[i]
		checkTwice(d, o, names)
		typed := newTyped(o.apiVersion, o.kind)
		if typed == nil {
			f.checkVersion(d, o)
			continue
		}
		before := len(d.errs)
		d.at = nil
		d.decode(o.node, reflect.ValueOf(typed).Elem())
		setDefaults(typed)
		// A field that could not be decoded has its zero value, which validate
		// would report as missing.
		undecoded := d.errs[before:len(d.errs):len(d.errs)]
		validate(d, o, typed)
		d.errs = append(d.errs[:before+len(undecoded)], without(d.errs[before+len(undecoded):], undecoded)...)
		o.typed = typed
	}
}

// without returns the errors except those about fields that could not be
// decoded, which only seem to be unset.
func without(errs, undecoded Errors) Errors {
	var kept Errors
	for _, e := range errs {
		if !slices.ContainsFunc(undecoded, func(u FieldError) bool {
			return isWithin(u.Path, e.Path) || isWithin(e.Path, u.Path)
		}) {
			kept = append(kept, e)
		}
	}
	return kept
}

// isWithin reports whether a path is that of a field or of one below it.
func isWithin(path, field string) bool {
	rest, ok := strings.CutPrefix(path, field)
	return ok && (field == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// A place is a line of a file.
type place struct {
	file string
	line int
}

// checkTwice refuses two objects with the same kind, namespace and name.
func checkTwice(d *decoder, o *object, names map[[3]string]place) {
	if o.name == "" {
		return
	}
	// The version is left out, because all versions of a group store the same
	// object.
	id := [3]string{o.kind + "." + group(o.apiVersion), o.namespace, o.name}
	if first, twice := names[id]; twice {
		hint := fmt.Sprintf("the first is on line %d", first.line)
		if first.file != o.file {
			hint += " of " + first.file
		}
		d.errs = append(d.errs, FieldError{
			File: o.file, Line: o.node.line, Column: o.node.col, Path: "metadata.name",
			Detail: fmt.Sprintf("%s %s is defined twice", o.kind, o.name), Hint: hint,
		})
		return
	}
	names[id] = place{o.file, o.node.line}
}

func group(apiVersion string) string {
	g, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return g
}

// ConfigMaps returns the ConfigMaps of the file.
func (f File) ConfigMaps() []corev1.ConfigMap {
	var list []corev1.ConfigMap
	for _, o := range f.objects {
		if c, ok := o.typed.(*corev1.ConfigMap); ok {
			list = append(list, *c)
		}
	}
	return list
}

// Secrets returns the Secrets of the file with stringData merged into data.
func (f File) Secrets() []corev1.Secret {
	var list []corev1.Secret
	for _, o := range f.objects {
		if s, ok := o.typed.(*corev1.Secret); ok {
			list = append(list, *s)
		}
	}
	return list
}
