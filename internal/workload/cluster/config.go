package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// A configKey identifies a ConfigMap or Secret of a manifest.
type configKey struct{ kind, namespace, name string }

// pinConfiguration gives each generation its own configuration: Deployments refer to
// immutable copies of the manifest's ConfigMaps and Secrets, whose names contain a
// digest of their content. So a change of them alone makes a generation, and going
// back restores them.
//
// It returns the objects to apply, and the copies of each Deployment. An original to
// which only Deployments refer is not among them.
func pinConfiguration(objects []*unstructured.Unstructured, namespace string) ([]*unstructured.Unstructured, map[*unstructured.Unstructured][]*unstructured.Unstructured) {
	copies := map[configKey]*unstructured.Unstructured{}
	for _, o := range objects {
		if isConfig(o) {
			copies[configKey{o.GetKind(), cmp.Or(o.GetNamespace(), namespace), o.GetName()}] = pinnedCopy(o)
		}
	}
	ofDeployments, ofOthers := map[configKey]bool{}, map[configKey]bool{}
	uses := map[*unstructured.Unstructured][]*unstructured.Unstructured{}
	var applied []*unstructured.Unstructured
	for _, o := range objects {
		switch in := cmp.Or(o.GetNamespace(), namespace); {
		case isConfig(o):
		case isDeployment(o):
			o = o.DeepCopy()
			template, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec") // nil has no references
			eachReference(template, func(kind, name string) string {
				key := configKey{kind, in, name}
				pinned := copies[key]
				if pinned == nil {
					return name
				}
				ofDeployments[key] = true
				if !slices.Contains(uses[o], pinned) {
					uses[o] = append(uses[o], pinned)
				}
				return pinned.GetName()
			})
		default:
			eachReference(o.Object, func(kind, name string) string {
				ofOthers[configKey{kind, in, name}] = true
				return name
			})
		}
		applied = append(applied, o)
	}
	return slices.DeleteFunc(applied, func(o *unstructured.Unstructured) bool {
		key := configKey{o.GetKind(), cmp.Or(o.GetNamespace(), namespace), o.GetName()}
		return isConfig(o) && ofDeployments[key] && !ofOthers[key]
	}), uses
}

// isConfig reports whether an object is a ConfigMap or a Secret whose content is in the
// manifest. The server writes that of a service account's token.
func isConfig(o *unstructured.Unstructured) bool {
	if o.GroupVersionKind().Group != "" {
		return false
	}
	return o.GetKind() == "ConfigMap" || o.GetKind() == "Secret" && o.Object["type"] != "kubernetes.io/service-account-token"
}

// pinnedCopy returns the immutable copy of a ConfigMap or Secret.
func pinnedCopy(o *unstructured.Unstructured) *unstructured.Unstructured {
	content := map[string]any{}
	for _, field := range []string{"type", "data", "binaryData", "stringData"} {
		if v, ok := o.Object[field]; ok {
			content[field] = v
		}
	}
	data, _ := json.Marshal(content) // was read from JSON
	sum := sha256.Sum256(data)
	suffix := "-" + hex.EncodeToString(sum[:5])
	o = o.DeepCopy()
	name := o.GetName()
	o.SetName(name[:min(len(name), validation.DNS1123SubdomainMaxLength-len(suffix))] + suffix)
	o.SetAnnotations(withEntry(o.GetAnnotations(), configAnnotation, name))
	o.Object["immutable"] = true
	return o
}

// configAnnotation holds the name of the original of a copy.
const configAnnotation = "adamant.sh/config"

// eachReference replaces each name of a ConfigMap or Secret in an object by the result
// of a function.
func eachReference(v any, rename func(kind, name string) string) {
	switch v := v.(type) {
	case []any:
		for _, below := range v {
			eachReference(below, rename)
		}
	case map[string]any:
		for field, below := range v {
			for _, r := range referenceFields[field] {
				renameField(below, r.field, r.kind, rename)
			}
			eachReference(below, rename)
		}
	}
}

// referenceFields are the fields of a pod that refer to a ConfigMap or Secret.
var referenceFields = map[string][]struct{ field, kind string }{
	"configMap":        {{"name", "ConfigMap"}},
	"configMapRef":     {{"name", "ConfigMap"}},
	"configMapKeyRef":  {{"name", "ConfigMap"}},
	"secret":           {{"secretName", "Secret"}, {"name", "Secret"}}, // a volume's; a projected volume's
	"secretRef":        {{"name", "Secret"}},
	"secretKeyRef":     {{"name", "Secret"}},
	"imagePullSecrets": {{"name", "Secret"}},
}

func renameField(v any, field, kind string, rename func(kind, name string) string) {
	switch v := v.(type) {
	case []any:
		for _, below := range v {
			renameField(below, field, kind, rename)
		}
	case map[string]any:
		if name, ok := v[field].(string); ok {
			v[field] = rename(kind, name)
		}
	}
}

// configure applies the copies of a Deployment's configuration. They are deleted with
// the Deployment, unless own gives them to a ReplicaSet.
func (w *workload) configure(ctx context.Context, d *appsv1.Deployment) error {
	for _, o := range w.config {
		if d != nil {
			o = o.DeepCopy()
			o.SetOwnerReferences([]metav1.OwnerReference{ownedBy("Deployment", d.ObjectMeta)})
		}
		if _, err := w.serverSide(ctx, o, request{force: w.opts.Force}); err != nil {
			return err
		}
	}
	return nil
}

func ownedBy(kind string, o metav1.ObjectMeta) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: kind, Name: o.Name, UID: o.UID}
}

// own gives the copies of the configuration to the ReplicaSet of their generation:
// they are deleted with the last one that refers to them.
func (w *workload) own(ctx context.Context, d *appsv1.Deployment, rs *appsv1.ReplicaSet) error {
	for _, o := range w.config {
		objects, name, err := w.client(ctx, o)
		if err != nil {
			return err
		}
		if err := retryOnConflict(func() error {
			now, err := objects.Get(ctx, o.GetName(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			owners := slices.DeleteFunc(now.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == d.UID || r.UID == rs.UID })
			patch, err := patchOf(now.GetResourceVersion(), op{"add", "/metadata/ownerReferences", append(owners, ownedBy("ReplicaSet", rs.ObjectMeta))})
			if err != nil {
				return err
			}
			_, err = objects.Patch(ctx, o.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: manager})
			return err
		}); err != nil {
			return fmt.Errorf("give %s an owner: %w", name, err)
		}
	}
	w.config = nil
	return nil
}
