package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// A Ref is a name by which a user refers to an object. An empty namespace or
// kind matches any.
type Ref struct {
	Namespace, Kind, Name string

	text string // as the user wrote it
}

// refKinds are the kinds of declared objects.
var refKinds = []string{"Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod", "Service", "Ingress", "ConfigMap", "Secret"}

// ParseRef parses NAME, KIND/NAME or NAMESPACE/KIND/NAME: "web", "deploy/web" or
// "shop/deploy/web".
func ParseRef(s string) (Ref, error) {
	parts := strings.Split(s, "/")
	r := Ref{Name: parts[len(parts)-1], text: s}
	if len(parts) > 3 || r.Name == "" {
		return r, fmt.Errorf("%q: want NAME, KIND/NAME or NAMESPACE/KIND/NAME", s)
	}
	if len(parts) > 1 {
		kind, ok := manifest.KindNamed(parts[len(parts)-2])
		if !ok || !slices.Contains(refKinds, kind) {
			return r, fmt.Errorf("%q: unknown kind %q", s, parts[len(parts)-2])
		}
		r.Kind = kind
	}
	if len(parts) == 3 {
		r.Namespace = parts[0]
	}
	return r, nil
}

// In returns the reference within a namespace, unless that is empty. It fails if the
// reference has another one.
func (r Ref) In(namespace string) (Ref, error) {
	if namespace == "" || r.Namespace == namespace {
		return r, nil
	}
	if r.Namespace != "" {
		return r, fmt.Errorf("%s is of namespace %s, and --namespace is %s", r, r.Namespace, namespace)
	}
	r.Namespace, r.text = namespace, r.text+" in namespace "+namespace
	return r, nil
}

// String returns the reference as the user wrote it.
func (r Ref) String() string { return r.text }

func (r Ref) matches(k local.Key) bool {
	return k.Name == r.Name && (r.Kind == "" || k.Kind == r.Kind) && (r.Namespace == "" || k.Namespace == r.Namespace)
}

// ErrNoMatch is returned by Find when no workload matches.
var ErrNoMatch = errors.New("no workload is called")

// Find returns the only workload that a reference matches.
func (c *Client) Find(ctx context.Context, r Ref) (local.Status, error) {
	list, err := c.List(ctx)
	if err != nil {
		return local.Status{}, err
	}
	var found []local.Status
	var names []string
	for _, s := range list {
		if r.matches(s.Key) {
			found = append(found, s)
			names = append(names, s.Key.String())
		}
	}
	switch len(found) {
	case 0:
		return local.Status{}, fmt.Errorf("%w %s", ErrNoMatch, r)
	case 1:
		return found[0], nil
	}
	return local.Status{}, fmt.Errorf("%s could be any of %s", r, strings.Join(names, ", "))
}

// FindHistory returns the history of the only workload that a reference matches. One
// that was deleted is found if no other matches.
func (c *Client) FindHistory(ctx context.Context, r Ref) (local.History, error) {
	s, err := c.Find(ctx, r)
	if !errors.Is(err, ErrNoMatch) {
		if err != nil {
			return local.History{}, err
		}
		return c.History(ctx, s.Key)
	}
	deleted, listErr := c.Deleted(ctx)
	if listErr != nil {
		return local.History{}, listErr
	}
	deleted = slices.DeleteFunc(deleted, func(d local.Deletion) bool { return !r.matches(d.Key) })
	if len(deleted) == 1 {
		return c.History(ctx, deleted[0].Key)
	}
	for _, d := range deleted {
		err = fmt.Errorf("%w; %s was deleted and has a history", err, d.Key)
	}
	return local.History{}, err
}

// hasInstances reports whether an object is a workload, unlike a Service, a
// ConfigMap or a Secret.
func hasInstances(k local.Key) bool {
	return k.Kind != "Service" && k.Kind != "Ingress" && k.Kind != "ConfigMap" && k.Kind != "Secret"
}

// Key returns the key of the only workload that a reference matches or, if it has
// the kind of an object without instances, that of the object, which may not
// exist. The namespace of an object is "default" unless the reference has one.
func (c *Client) Key(ctx context.Context, r Ref) (local.Key, error) {
	if k := (local.Key{Namespace: cmp.Or(r.Namespace, "default"), Kind: r.Kind, Name: r.Name}); !hasInstances(k) {
		return k, nil
	}
	s, err := c.Find(ctx, r)
	return s.Key, err
}
