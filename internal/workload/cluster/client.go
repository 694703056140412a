package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// A resource reads and writes the objects of one API resource in one namespace
// as their type in k8s.io/api. The typed clients of client-go do the same, but
// link every API group of Kubernetes, which is a quarter of the binary.
type resource[T any] struct {
	objects dynamic.ResourceInterface
	kind    schema.GroupVersionKind
}

func (c *Cluster) deployments(namespace string) resource[appsv1.Deployment] {
	return newResource[appsv1.Deployment](c, appsv1.SchemeGroupVersion, "Deployment", "deployments", namespace)
}

func (c *Cluster) replicaSets(namespace string) resource[appsv1.ReplicaSet] {
	return newResource[appsv1.ReplicaSet](c, appsv1.SchemeGroupVersion, "ReplicaSet", "replicasets", namespace)
}

func (c *Cluster) pods(namespace string) resource[corev1.Pod] {
	return newResource[corev1.Pod](c, corev1.SchemeGroupVersion, "Pod", "pods", namespace)
}

func newResource[T any](c *Cluster, version schema.GroupVersion, kind, plural, namespace string) resource[T] {
	return resource[T]{c.objects.Resource(version.WithResource(plural)).Namespace(namespace), version.WithKind(kind)}
}

func (r resource[T]) get(ctx context.Context, name string) (*T, error) {
	return typed[T](r.objects.Get(ctx, name, metav1.GetOptions{}))
}

// list returns the objects that a label selector matches.
func (r resource[T]) list(ctx context.Context, selector *metav1.LabelSelector) ([]*T, error) {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, err
	}
	found, err := r.objects.List(ctx, metav1.ListOptions{LabelSelector: matches.String()})
	if err != nil {
		return nil, err
	}
	var all []*T
	for i := range found.Items {
		o, err := typed[T](&found.Items[i], nil)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (r resource[T]) create(ctx context.Context, o *T) (*T, error) {
	u, err := r.untyped(o)
	if err != nil {
		return nil, err
	}
	return typed[T](r.objects.Create(ctx, u, metav1.CreateOptions{FieldManager: manager}))
}

// delete deletes the object with this UID, which exists until all objects that it
// owns are gone.
func (r resource[T]) delete(ctx context.Context, name string, uid types.UID) error {
	foreground := metav1.DeletePropagationForeground
	return r.objects.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: &metav1.Preconditions{UID: &uid}})
}

func (r resource[T]) patch(ctx context.Context, name string, kind types.PatchType, data []byte) error {
	_, err := r.objects.Patch(ctx, name, kind, data, metav1.PatchOptions{FieldManager: manager})
	return err
}

// typed converts a result of the dynamic client.
func typed[T any](o *unstructured.Unstructured, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	t := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, t); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return t, nil
}

func (r resource[T]) untyped(o *T) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.kind.Kind, err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(r.kind) // the dynamic client sends it; typed objects have none
	return u, nil
}

// A discovery finds the resource of a kind by asking the API server. client-go's
// own discovery does more, and links every API group of Kubernetes.
type discovery struct {
	server rest.Interface

	mu    sync.Mutex
	known map[schema.GroupVersionKind]*metav1.APIResource
}

// find returns the resource of a kind. The error is a meta.NoKindMatchError if
// the server has none.
func (d *discovery) find(ctx context.Context, kind schema.GroupVersionKind) (schema.GroupVersionResource, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.known[kind]
	if r == nil {
		// The server is asked again for each unknown kind, whose definition may have
		// been applied just now.
		if err := d.read(ctx, kind.GroupVersion()); err != nil {
			return schema.GroupVersionResource{}, false, err
		}
		r = d.known[kind]
	}
	if r == nil {
		return schema.GroupVersionResource{}, false,
			&meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}
	}
	return kind.GroupVersion().WithResource(r.Name), r.Namespaced, nil
}

// read reads the resources of one version of an API group.
func (d *discovery) read(ctx context.Context, version schema.GroupVersion) error {
	list, err := d.resources(ctx, version)
	for i := range list {
		d.known[version.WithKind(list[i].Kind)] = &list[i]
	}
	return err
}

// resources returns the resources of one version of an API group, without subresources.
func (d *discovery) resources(ctx context.Context, version schema.GroupVersion) ([]metav1.APIResource, error) {
	path := "/apis/" + version.String()
	if version.Group == "" {
		path = "/api/" + version.Version
	}
	data, err := d.server.Get().AbsPath(path).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	var list metav1.APIResourceList
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", version, err)
	}
	return slices.DeleteFunc(list.APIResources, func(r metav1.APIResource) bool { return strings.Contains(r.Name, "/") }), nil
}
