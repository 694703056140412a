package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// An Object is an object of a cluster, or objects that could not be read.
type Object struct {
	Name string // "shop/deployments.apps/web", or of an error what it concerns: "secrets"
	Data []byte // as kubectl get -o yaml writes it; of a Secret without its values
	Err  error
}

// pageSize is how many objects the API server is asked for at a time, and pageTimeout how
// long it may take to answer.
const (
	pageSize    = 100
	pageTimeout = time.Minute
)

// Objects reads all objects of a namespace, or of the whole cluster with AllNamespaces, that
// may have a pod or decide who may change one: all kinds that Kubernetes does not define,
// and those of its own kinds that do. It only lists.
//
// It leaves out what a controller made of another object that has the same containers: the
// Pods of a ReplicaSet, and the ReplicaSets of a Deployment. A Pod with other containers, as
// injected or for debugging, is not left out, once for each owner; what is scaled to zero
// is, as ReplicaSets are that wait for an undo. It also leaves out what
// Kubernetes makes and restores by itself: its default roles, and the ConfigMap with its
// certificate.
//
// yield is called for each object, and for each kind that could not be read. The error is
// that of yield or ctx, or the server could not be asked for its kinds.
func (c *Cluster) Objects(ctx context.Context, namespace string, yield func(Object) error) error {
	if namespace == "" {
		namespace = c.namespace
	}
	kinds, failed, err := c.kinds.all(ctx)
	if err != nil {
		return err
	}
	for _, f := range failed {
		if err := yield(f); err != nil {
			return err
		}
	}
	l := lister{namespace: namespace, made: map[types.UID]containers{}, yield: yield}
	for _, k := range kinds {
		if k.rank() < 0 || !k.lists || !k.namespaced && namespace != AllNamespaces {
			continue
		}
		if err := l.list(ctx, c.objects, k); err != nil {
			return err
		}
	}
	if l.listed == 0 && !l.failed && len(failed) == 0 && namespace != AllNamespaces {
		return yield(Object{Name: "namespace " + namespace, Err: errors.New("no object in it; does it exist?")})
	}
	return nil
}

// A kind is a resource of the API server in the version that it prefers.
type kind struct {
	schema.GroupVersionResource
	namespaced, lists bool
}

// String returns the resource as in "kubectl get deployments.apps".
func (k kind) String() string { return k.GroupResource().String() }

// ownKinds are the kinds of Kubernetes that are read, in that order: what makes pods is
// before what it makes.
var ownKinds = []string{
	"cronjobs.batch", "jobs.batch",
	"deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps",
	"replicationcontrollers", "podtemplates", "pods", "configmaps", "secrets",
	"roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
	"clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
}

// ownGroups are the API groups of Kubernetes and of its metrics server. All their kinds are
// known, and only ownKinds have pods or decide about them. Custom resources are in others,
// also in those of Kubernetes' projects, such as jobset.x-k8s.io.
var ownGroups = []string{
	"", "apps", "autoscaling", "batch", "policy",
	"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "authentication.k8s.io",
	"authorization.k8s.io", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
	"flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io", "metrics.k8s.io", "networking.k8s.io",
	"node.k8s.io", "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
	"storagemigration.k8s.io",
}

// rank returns the order in which kinds are read, -1 for one that is not.
func (k kind) rank() int {
	if !slices.Contains(ownGroups, k.Group) {
		return 0
	}
	if i := slices.Index(ownKinds, k.String()); i >= 0 {
		return i + 1
	}
	return -1
}

// all returns all resources of the server, in the order in which they are read, and the API
// groups that could not be read, for example if the server behind one is down.
func (d *discovery) all(ctx context.Context) (kinds []kind, failed []Object, err error) {
	versions := []schema.GroupVersion{{Version: "v1"}}
	data, err := d.server.Get().AbsPath("/apis").Timeout(pageTimeout).Do(ctx).Raw()
	var groups metav1.APIGroupList
	if err == nil {
		err = json.Unmarshal(data, &groups)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("ask the API server for its kinds: %w", err)
	}
	for _, g := range groups.Groups {
		versions = append(versions, schema.GroupVersion{Group: g.Name, Version: g.PreferredVersion.Version})
	}
	for _, v := range versions {
		list, err := d.resources(ctx, v)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			failed = append(failed, Object{Name: v.String(), Err: err})
		}
		for _, r := range list {
			kinds = append(kinds, kind{v.WithResource(r.Name), r.Namespaced, slices.Contains(r.Verbs, "list")})
		}
	}
	slices.SortStableFunc(kinds, func(a, b kind) int { return cmp.Compare(a.rank(), b.rank()) })
	return kinds, failed, nil
}

// A lister lists objects, one kind after the other.
type lister struct {
	namespace string
	made      map[types.UID]containers // that were read, of an object and of what is made of it
	listed    int
	failed    bool // to list a kind
	yield     func(Object) error
}

// list lists the objects of a kind, page by page.
func (l *lister) list(ctx context.Context, objects dynamic.Interface, k kind) error {
	in := objects.Resource(k.GroupVersionResource).Namespace("")
	if l.namespace != AllNamespaces {
		in = objects.Resource(k.GroupVersionResource).Namespace(l.namespace)
	}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := listPage(ctx, in, options)
		var expired apierrors.APIStatus
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case apierrors.IsResourceExpired(err) && errors.As(err, &expired) && expired.Status().ListMeta.Continue != "":
			// The rest is listed as it is now: nothing that was there all the time is left out.
			options.Continue = expired.Status().ListMeta.Continue
			continue
		case apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err):
			return nil // its definition was removed meanwhile
		case err != nil:
			l.failed = true
			return l.yield(Object{Name: k.String(), Err: err})
		}
		for i := range page.Items {
			if err := l.object(k, &page.Items[i]); err != nil {
				return err
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func listPage(ctx context.Context, in dynamic.ResourceInterface, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return in.List(ctx, options)
}

// object yields an object, unless it is to be left out.
func (l *lister) object(k kind, o *unstructured.Unstructured) error {
	l.listed++
	if isOwn(k, o) || l.isMade(o) {
		return nil
	}
	unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
	if k.String() == "secrets" {
		withoutValues(o)
	}
	name := k.String() + "/" + o.GetName()
	if o.GetNamespace() != "" {
		name = o.GetNamespace() + "/" + name
	}
	data, err := yaml.Marshal(o.Object)
	return l.yield(Object{Name: name, Data: data, Err: err})
}

// isOwn reports whether Kubernetes or Helm makes an object by itself, and would undo a change.
func isOwn(k kind, o *unstructured.Unstructured) bool {
	switch {
	case k.String() == "configmaps":
		return o.GetName() == "kube-root-ca.crt"
	case k.String() == "secrets":
		of, _, _ := unstructured.NestedString(o.Object, "type")
		return of == "kubernetes.io/service-account-token" || of == "helm.sh/release.v1"
	}
	return o.GetLabels()["kubernetes.io/bootstrapping"] == "rbac-defaults"
}

// withoutValues removes the values of a Secret, and those in the annotation that kubectl
// apply leaves.
func withoutValues(o *unstructured.Unstructured) {
	delete(o.Object, "data")
	delete(o.Object, "stringData")
	unstructured.RemoveNestedField(o.Object, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
}

// isMade reports whether an object was made of another one, which was read and has the same
// containers. It remembers the containers of o.
func (l *lister) isMade(o *unstructured.Unstructured) bool {
	own := containers{}
	own.collect(o.Object)
	owner := metav1.GetControllerOfNoCopy(o)
	switch {
	case len(own) == 0:
		return false
	case owner == nil:
		l.made[o.GetUID()] = own
		return false
	}
	known := l.made[owner.UID]
	if known == nil {
		known = containers{}
		l.made[owner.UID] = known
	}
	l.made[o.GetUID()] = known // so that what is made of o is compared with the same
	if replicas, found, err := unstructured.NestedInt64(o.Object, "spec", "replicas"); found && err == nil && replicas == 0 {
		return true // of an earlier version, kept for kubectl rollout undo
	}
	before := len(known)
	maps.Copy(known, own)
	return len(known) == before
}

// containers are the names and images of containers.
type containers map[[2]string]bool

// collect adds the containers in a value of an object, at any depth.
func (c containers) collect(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, field := range v {
			if list, ok := field.([]any); ok && strings.HasSuffix(strings.ToLower(name), "containers") {
				c.add(list)
			}
			c.collect(field)
		}
	case []any:
		for _, item := range v {
			c.collect(item)
		}
	}
}

func (c containers) add(list []any) {
	for _, item := range list {
		if fields, ok := item.(map[string]any); ok {
			name, _ := fields["name"].(string)
			image, _ := fields["image"].(string)
			c[[2]string{name, image}] = true
		}
	}
}
