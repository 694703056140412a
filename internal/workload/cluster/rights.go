package cluster

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A right is a permission to do something with the objects of one resource.
type right struct {
	verb, group, resource, namespace string
}

// String returns the right as in a Role: "patch deployments.apps in shop".
func (r right) String() string {
	text := r.verb + " " + r.resource
	if r.group != "" {
		name, sub, isSub := strings.Cut(r.resource, "/")
		text = r.verb + " " + name + "." + r.group
		if isSub {
			text += "/" + sub
		}
	}
	if r.namespace != "" {
		text += " in " + r.namespace
	}
	return text
}

// A RightsError is returned if the user lacks permissions. Nothing was changed.
type RightsError struct{ Missing []string }

// Error lists the permissions.
func (e *RightsError) Error() string {
	return "you may not " + strings.Join(e.Missing, ", ") + "; nothing was changed"
}

// Mend returns how the permissions are found.
func (e *RightsError) Mend() string {
	return "docs/reference/rollouts.md lists the permissions of apply --context; kubectl auth can-i --list shows yours"
}

// checkRights returns a RightsError if the user may not do all that applying the
// objects needs.
func (c *Cluster) checkRights(ctx context.Context, objects []*unstructured.Unstructured) error {
	var rights []right
	for _, o := range objects {
		needed, err := c.rightsFor(ctx, o)
		if err != nil {
			return err
		}
		rights = append(rights, needed...)
	}
	seen := map[right]bool{}
	var missing []string
	for _, r := range rights {
		if seen[r] {
			continue
		}
		seen[r] = true
		ok, err := c.may(ctx, r)
		if err != nil {
			return fmt.Errorf("check the right to %s: %w", r, err)
		}
		if !ok {
			missing = append(missing, r.String())
		}
	}
	if len(missing) > 0 {
		return &RightsError{missing}
	}
	return nil
}

// rightsFor returns what applying an object needs.
func (c *Cluster) rightsFor(ctx context.Context, o *unstructured.Unstructured) ([]right, error) {
	kind, isNamespaced, err := c.kinds.find(ctx, o.GroupVersionKind())
	if err != nil {
		return nil, nil // its definition may be among the objects; applying it tells
	}
	namespace := ""
	if isNamespaced {
		namespace = cmp.Or(o.GetNamespace(), c.namespace)
	}
	rights := []right{{"patch", kind.Group, kind.Resource, namespace}, {"create", kind.Group, kind.Resource, namespace}}
	if !isDeployment(o) {
		return rights, nil
	}
	d, err := typed[appsv1.Deployment](o, nil)
	if err != nil {
		return nil, err
	}
	spec, policy, err := rollout.FromDeployment(d)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", namespace, d.Name, err)
	}
	rights = append(rights,
		right{"get", "apps", "deployments", namespace}, right{"list", "apps", "deployments", namespace},
		right{"list", "apps", "replicasets", namespace}, right{"list", "", "pods", namespace})
	if spec.Gated || spec.Kind == rollout.Canary || spec.Kind == rollout.BlueGreen {
		rights = append(rights, right{"delete", "apps", "deployments", namespace})
	}
	if spec.Kind == rollout.BlueGreen {
		rights = append(rights, right{"list", "", "services", namespace})
	}
	if policy.Command != "" {
		// The API server asks for get with WebSocket, and for create as well since 1.35.
		rights = append(rights, right{"get", "", "pods/exec", namespace}, right{"create", "", "pods/exec", namespace})
	}
	if policy.HTTP != "" {
		rights = append(rights, right{"get", "", "pods/proxy", namespace})
	}
	return rights, nil
}

// may asks the API server whether the user has a right.
func (c *Cluster) may(ctx context.Context, r right) (bool, error) {
	resource, sub, _ := strings.Cut(r.resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: r.verb, Group: r.group, Resource: resource, Subresource: sub, Namespace: r.namespace},
	}}
	reviews := newResource[authorizationv1.SelfSubjectAccessReview](c, authorizationv1.SchemeGroupVersion, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "")
	answer, err := reviews.create(ctx, review)
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

func isDeployment(o *unstructured.Unstructured) bool {
	return o.GetKind() == "Deployment" && o.GroupVersionKind().Group == "apps"
}
