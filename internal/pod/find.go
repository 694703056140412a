package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// ErrNotFound is returned when no pod has that name.
var ErrNotFound = errors.New("no such pod")

// Find finds a pod by its name, "pod/name", "namespace/name", "namespace/pod/name", its
// workload ("deploy/web", "namespace/deploy/web") or its UID, or by a unique prefix of
// its name or UID.
func (e *Engine) Find(ctx context.Context, name string) (*Pod, error) {
	return e.FindIn(ctx, "", name)
}

// PodsIn returns the pods of a namespace, all if that is empty.
func (e *Engine) PodsIn(ctx context.Context, namespace string) ([]*Pod, error) {
	pods, err := e.Pods(ctx)
	if namespace != "" {
		pods = slices.DeleteFunc(pods, func(p *Pod) bool { return p.Namespace != namespace })
	}
	return pods, err
}

// FindIn is Find among the pods of a namespace, of all if that is empty.
func (e *Engine) FindIn(ctx context.Context, namespace, name string) (*Pod, error) {
	pods, err := e.PodsIn(ctx, namespace)
	if err != nil {
		return nil, err
	}
	for _, match := range []func(*Pod) bool{
		func(p *Pod) bool { return p.UID == name || p.Name == name || p.Namespace+"/"+p.Name == name },
		func(p *Pod) bool {
			kind, rest, ok := strings.Cut(name, "/")
			named, _ := manifest.KindNamed(kind)
			return ok && named == "Pod" && rest == p.Name || name == p.Namespace+"/pod/"+p.Name
		},
		func(p *Pod) bool {
			rest, ok := strings.CutPrefix(name, p.Namespace+"/")
			return p.Workload == workloadName(name) || ok && p.Workload == workloadName(rest)
		},
		func(p *Pod) bool {
			return strings.HasPrefix(p.Name, name) || strings.HasPrefix(p.UID, name) || strings.HasPrefix(p.Namespace+"/"+p.Name, name)
		},
	} {
		p, err := only(pods, name, match)
		if p != nil || err != nil {
			return p, err
		}
	}
	if namespace != "" {
		name += " in namespace " + namespace
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
}

func workloadName(name string) string {
	kind, rest, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	if named, ok := manifest.KindNamed(kind); ok {
		kind = named
	}
	return strings.ToLower(kind) + "/" + rest
}

func only(pods []*Pod, name string, match func(*Pod) bool) (*Pod, error) {
	var found *Pod
	var all []string
	for _, p := range pods {
		if name != "" && match(p) {
			found = p
			all = append(all, p.Namespace+"/"+p.Name)
		}
	}
	if len(all) > 1 {
		return nil, fmt.Errorf("%s could be any of %s", name, strings.Join(all, ", "))
	}
	return found, nil
}
