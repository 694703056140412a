package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Difference is what an Apply would do to one object.
type Difference struct {
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace,omitempty"`
	Name      string   `json:"name"`
	Action    string   `json:"action"`            // "created", "changed" or "unchanged"
	Changes   []string `json:"changes,omitempty"` // one line each: field, old and new value
	Note      string   `json:"note,omitempty"`    // why the server could not check it
}

// The actions of a Difference.
const (
	DiffCreated   = "created"
	DiffChanged   = "changed"
	DiffUnchanged = "unchanged"
)

// Diff returns what Apply would change, field by field, by a dry run of the server: its
// defaults, admission and conflicts count. It changes nothing. Values of Secrets,
// ConfigMaps and variables are not in the result.
//
// A rollback's own fields that the manifest does not have are not among the changes.
func (c *Cluster) Diff(ctx context.Context, objects []map[string]any, opts Options) ([]Difference, error) {
	ctx, cancel := withTimeout(ctx, opts.Timeout)
	defer cancel()
	c.warnings.passTo(opts.Warn)
	ordered, copies := pinConfiguration(applyOrder(objects), c.namespace)
	var list []Difference
	seen := map[*unstructured.Unstructured]bool{}
	for _, o := range ordered {
		for _, one := range append(slices.Clone(copies[o]), o) {
			if seen[one] {
				continue // a copy of several Deployments
			}
			seen[one] = true
			d, err := c.difference(ctx, one, opts.Force)
			if err != nil {
				return nil, errors.Join(err, timedOut(ctx))
			}
			list = append(list, d)
		}
	}
	return list, nil
}

func (c *Cluster) difference(ctx context.Context, o *unstructured.Unstructured, force bool) (Difference, error) {
	d := Difference{Kind: o.GetKind(), Name: o.GetName(), Action: DiffCreated}
	objects, name, err := c.client(ctx, o)
	if meta.IsNoMatchError(err) {
		d.Namespace, d.Note = o.GetNamespace(), "the server does not know its kind yet"
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("diff %s: %w", name, err)
	}
	if strings.Contains(strings.TrimPrefix(name, o.GetKind()+" "), "/") {
		d.Namespace = cmp.Or(o.GetNamespace(), c.namespace)
	}
	before, err := objects.Get(ctx, o.GetName(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return d, fmt.Errorf("diff %s: %w", name, err)
	}
	exists := err == nil
	after, err := c.serverSide(ctx, o, request{force: force, dryRun: true})
	if !exists && apierrors.IsNotFound(err) {
		d.Note = "its namespace does not exist yet"
		return d, nil
	}
	if err != nil || !exists {
		return d, err
	}
	hidden := isConfig(o)
	walkChanges("", withoutServerFields(before), withoutServerFields(after), hidden, &d.Changes)
	if d.Action = DiffUnchanged; len(d.Changes) > 0 {
		d.Action = DiffChanged
	}
	if most := 60; len(d.Changes) > most {
		d.Changes = append(d.Changes[:most], fmt.Sprintf("and %d more", len(d.Changes)-most))
	}
	return d, nil
}

// withoutServerFields returns an object without what the server keeps about it.
func withoutServerFields(o *unstructured.Unstructured) map[string]any {
	o = o.DeepCopy()
	unstructured.RemoveNestedField(o.Object, "status")
	for _, name := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"} {
		unstructured.RemoveNestedField(o.Object, "metadata", name)
	}
	// It contains the whole object again, with what must be hidden.
	unstructured.RemoveNestedField(o.Object, "metadata", "annotations", corev1.LastAppliedConfigAnnotation)
	return o.Object
}

// walkChanges lists the fields that differ. Items of lists that have names are compared by
// them, as a server-side apply merges them.
func walkChanges(path string, a, b any, hidden bool, list *[]string) {
	if reflect.DeepEqual(a, b) {
		return
	}
	left, right := byName(a), byName(b)
	if left == nil || right == nil {
		*list = append(*list, fmt.Sprintf("%s: %s -> %s", path, valueText(path, a, hidden), valueText(path, b, hidden)))
		return
	}
	before := len(*list)
	all := maps.Clone(left)
	maps.Copy(all, right)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		below := strings.TrimPrefix(path+"."+key, ".")
		if strings.HasPrefix(key, "[") {
			below = path + key
		}
		walkChanges(below, left[key], right[key], hidden, list)
	}
	if len(*list) == before {
		*list = append(*list, path+": another order")
	}
}

// byName returns the values of a mapping or of a list whose items have names, nil for
// others.
func byName(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case []any:
		values := map[string]any{}
		for _, item := range v {
			m, _ := item.(map[string]any)
			name, ok := m["name"].(string)
			key := "[" + name + "]"
			if _, twice := values[key]; !ok || twice {
				return nil
			}
			values[key] = item
		}
		return values
	}
	return nil
}

// valueText formats a value for a change.
func valueText(path string, v any, hidden bool) string {
	if v == nil {
		return "none"
	}
	isData := strings.HasPrefix(path, "data") || strings.HasPrefix(path, "stringData") || strings.HasPrefix(path, "binaryData")
	if hidden && isData || strings.Contains(path, ".env[") && strings.HasSuffix(path, ".value") {
		return "(hidden)"
	}
	data, err := json.Marshal(v)
	isVariable := strings.Contains(path, ".env") && len(data) > 0 && data[0] != '"' // it contains its value
	if err != nil || len(data) > 120 || isVariable {
		return "(…)"
	}
	return string(data)
}
