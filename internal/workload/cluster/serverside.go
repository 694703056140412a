package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// manager is the field manager of all writes.
const manager = "adamant"

// A ConflictError is returned for an object with fields that others manage.
type ConflictError struct {
	Object    string   // "Deployment shop/web"
	Conflicts []string // `"kubectl-edit": .spec.replicas`
}

// Error lists the fields with their managers.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("apply %s: others manage fields that the manifest sets: %s", e.Object, strings.Join(e.Conflicts, ", "))
}

// Mend returns how the conflict is solved.
func (e *ConflictError) Mend() string {
	return "leave these fields out of the manifest, or take them over with --force-conflicts"
}

// A request configures a server-side apply.
type request struct {
	force  bool // take over fields that others manage
	dryRun bool
}

// serverSide applies an object by server-side apply and returns it as the server
// stores it, or would store it. Without force it fails with a ConflictError.
func (c *Cluster) serverSide(ctx context.Context, o *unstructured.Unstructured, r request) (*unstructured.Unstructured, error) {
	objects, name, err := c.client(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", name, err)
	}
	opts := metav1.ApplyOptions{FieldManager: manager, Force: r.force}
	if r.dryRun {
		opts.DryRun = []string{metav1.DryRunAll}
	}
	applied, err := objects.Apply(ctx, o.GetName(), o, opts)
	if others, isConflict := conflicts(err); isConflict {
		if len(others) > 0 {
			return nil, &ConflictError{name, others}
		}
		opts.Force = true // all are own fields, written by a rollback
		applied, err = objects.Apply(ctx, o.GetName(), o, opts)
	}
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", name, err)
	}
	return applied, nil
}

// client returns the client of an object's resource and the object's name for
// messages.
func (c *Cluster) client(ctx context.Context, o *unstructured.Unstructured) (dynamic.ResourceInterface, string, error) {
	name := o.GetKind() + " " + o.GetName()
	kind, isNamespaced, err := c.kinds.find(ctx, o.GroupVersionKind())
	if err != nil {
		return nil, name, err
	}
	namespace := corev1.NamespaceAll
	if isNamespaced {
		namespace = cmp.Or(o.GetNamespace(), c.namespace)
		name = o.GetKind() + " " + namespace + "/" + o.GetName()
	}
	return c.objects.Resource(kind).Namespace(namespace), name, nil
}

// conflicts returns the conflicts of a server-side apply with managers that are
// not passing, as "manager: field", and whether the error is such a conflict.
func conflicts(err error) (others []string, isConflict bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsConflict(err) || status.Status().Details == nil {
		return nil, false
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		isConflict = true
		quoted := strings.TrimPrefix(cause.Message, "conflict with ")
		prefix, err := strconv.QuotedPrefix(quoted)
		if err == nil && isPassing(strings.Trim(prefix, `"`), strings.Contains(quoted[len(prefix):], "using ")) {
			continue
		}
		others = append(others, cmp.Or(prefix, quoted)+": "+cause.Field)
	}
	slices.Sort(others)
	return others, isConflict
}

// isPassing reports whether a manager's fields are those of a rollout, which the
// next apply replaces: Adamant's own rollback, and kubectl rollout, whose undo has
// the manager kubectl and updates without applying.
func isPassing(name string, isUpdate bool) bool {
	return name == manager || name == "kubectl-rollout" || name == "kubectl" && isUpdate
}

// reclaim makes the manager of applies the owner of the pod template's fields that
// a rollback wrote. Otherwise those that the next manifest does not have would
// stay in its template: an owner that never applies never gives them up.
func (w *workload) reclaim(ctx context.Context, d *appsv1.Deployment) error {
	entries, changed, err := reclaimed(d.ManagedFields)
	if err != nil || !changed {
		return err
	}
	return w.patch(ctx, d, op{"replace", "/metadata/managedFields", entries})
}

func reclaimed(entries []metav1.ManagedFieldsEntry) ([]metav1.ManagedFieldsEntry, bool, error) {
	entries = slices.Clone(entries)
	own := slices.IndexFunc(entries, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
	})
	if own < 0 {
		return nil, false, nil // never applied by Adamant: there is nothing to go back to
	}
	all, err := fieldsOf(entries[own])
	if err != nil {
		return nil, false, err
	}
	changed := false
	for i, e := range entries {
		if e.Operation != metav1.ManagedFieldsOperationUpdate || e.Subresource != "" || !isPassing(e.Manager, true) {
			continue
		}
		fields, err := fieldsOf(e)
		if err != nil {
			return nil, false, err
		}
		spec, _ := fields["f:spec"].(map[string]any)
		template, ok := spec["f:template"].(map[string]any)
		if !ok {
			continue
		}
		delete(spec, "f:template")
		// kubectl rollout restart sets an annotation of the template, which the next
		// apply must not remove: this would replace all pods.
		metadata, _ := template["f:metadata"].(map[string]any)
		if restarted, ok := metadata["f:annotations"]; ok && e.Manager != manager {
			delete(metadata, "f:annotations")
			spec["f:template"] = map[string]any{"f:metadata": map[string]any{"f:annotations": restarted}}
		}
		if metadata != nil && len(metadata) == 0 {
			delete(template, "f:metadata")
		}
		if len(template) == 0 {
			continue
		}
		merge(all, map[string]any{"f:spec": map[string]any{"f:template": template}})
		changed = true
		if entries[i].FieldsV1, err = rawFields(fields); err != nil {
			return nil, false, err
		}
	}
	if entries[own].FieldsV1, err = rawFields(all); err != nil {
		return nil, false, err
	}
	return entries, changed, nil
}

func fieldsOf(e metav1.ManagedFieldsEntry) (map[string]any, error) {
	fields := map[string]any{}
	if e.FieldsV1 == nil {
		return fields, nil
	}
	if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields); err != nil {
		return nil, fmt.Errorf("managed fields of %s: %w", e.Manager, err)
	}
	return fields, nil
}

func rawFields(fields map[string]any) (*metav1.FieldsV1, error) {
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	raw := &metav1.FieldsV1{}
	raw.SetRawBytes(data)
	return raw, nil
}

// merge adds the leaves of one tree to another.
func merge(into, from map[string]any) {
	for name, v := range from {
		below, isTree := v.(map[string]any)
		has, ok := into[name].(map[string]any)
		if isTree && ok {
			merge(has, below)
			continue
		}
		into[name] = v
	}
}
