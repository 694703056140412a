package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

func hostNamespace(p *pod, r *reporter) {
	for _, f := range []struct{ name, what string }{
		{"hostPID", "the processes of the node, and their files below /proc"},
		{"hostIPC", "the shared memory of the node"},
		{"hostNetwork", "the network of the node, with what listens on its loopback interface"},
	} {
		if p.spec.Get(f.name).IsTrue() {
			r.at([]string{f.name}, "the pod sees %s: %s is true", f.what, f.name).setTo(false)
		}
	}
}

func automountToken(p *pod, r *reporter) {
	account := p.spec.Get("serviceAccountName").Text()
	if account == "" {
		account = p.spec.Get("serviceAccount").Text() // the old name of the field
	}
	v := p.spec.Get("automountServiceAccountToken")
	if value, ok := v.Bool(); ok && !value || p.mountsToken() {
		return
	}
	if account == "" || account == "default" {
		r.at([]string{"automountServiceAccountToken"}, "the token of the default service account is mounted, which every pod of the namespace shares").setTo(false)
	}
}

// mountsToken reports whether the pod asks for a token itself.
func (p *pod) mountsToken() bool {
	for _, v := range p.spec.Get("volumes").Items() {
		for _, s := range v.Get("projected", "sources").Items() {
			if s.Get("serviceAccountToken").IsSet() {
				return true
			}
		}
	}
	return false
}

// group returns the API group of an object; "" for the core.
func group(o *manifest.Resource) string { return groupOf(o.APIVersion) }

// groupOf returns the API group of an apiVersion.
func groupOf(apiVersion string) string {
	g, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return g
}

func mutableConfig(o *manifest.Resource, r *reporter) {
	if group(o) != "" || o.Kind != "ConfigMap" && o.Kind != "Secret" || o.Value.Get("immutable").IsTrue() {
		return
	}
	switch o.Value.Get("type").Text() {
	case "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token":
		return // a controller fills it or removes it
	}
	f := r.at([]string{"immutable"}, "%s %s can be changed under the pods that use it: immutable is not true", o.Kind, o.Name).setTo(true)
	if v := o.Value.Get("immutable"); !v.Exists() && r.document.Origin == nil {
		f.Place = r.document.PlaceOf(nearest(o.Value, "metadata", "name"))
	}
}

// nearest returns the value at a path as far as it exists.
func nearest(v manifest.Value, names ...string) manifest.Value {
	last, _ := v.Find(names...)
	return last
}

// inPlaceUpdate reports strategies that leave instances running after their template was
// changed, or change them where they run.
func inPlaceUpdate(o *manifest.Resource, r *reporter) {
	if len(o.Pods) == 0 {
		return
	}
	for _, field := range []string{"updateStrategy", "strategy"} {
		strategy := o.Value.Get("spec", field)
		kind := strategy.Get("type").Text()
		at := []string{"spec", field}
		switch kind {
		case "OnDelete":
			r.at(append(at, "type"), "a change replaces no instance: with OnDelete the old ones run until somebody deletes them")
		case "InPlaceIfPossible", "InPlaceOnly":
			r.at(append(at, "type"), "a change is made in running pods: %s", kind)
		}
		if policy := strategy.Get("rollingUpdate", "podUpdatePolicy").Text(); strings.HasPrefix(policy, "InPlace") {
			r.at(append(at, "rollingUpdate", "podUpdatePolicy"), "a change is made in running pods: %s", policy)
		}
		if p := strategy.Get("rollingUpdate", "partition"); kind != "OnDelete" && isPositive(p.Scalar()) {
			r.at(append(at, "rollingUpdate", "partition"), "a change does not replace all instances: those below the partition %s keep the old template", p.Scalar())
		}
	}
}

// isPositive reports whether a number, or a percentage, is greater than zero.
func isPositive(s string) bool {
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	return err == nil && n > 0
}

// sessions are what opens a session in a running container, and the verbs that do.
var sessions = []struct {
	resource, subresource, group string
	verbs                        []string
	what                         string
}{
	{"pods", "exec", "", []string{"create", "get"}, "commands and copies into running containers (exec, cp)"},
	{"pods", "attach", "", []string{"create", "get"}, "attaching to running containers"},
	{"pods", "ephemeralcontainers", "", []string{"update", "patch"}, "adding containers to running pods (debug)"},
	{"nodes", "proxy", "", []string{"create", "get"}, "commands in any container of a node, through its kubelet"},
}

func interactiveAccess(o *manifest.Resource, r *reporter) {
	if group(o) != rbac {
		return
	}
	switch o.Kind {
	case "Role", "ClusterRole":
		for i, rule := range o.Value.Get("rules").Items() {
			interactiveRule(o, r, i, rule)
		}
	case "RoleBinding", "ClusterRoleBinding":
		ref := o.Value.Get("roleRef")
		name := ref.Get("name").Text()
		subjects := 0
		for range o.Value.Get("subjects").Items() {
			subjects++
		}
		if subjects > 0 && ref.Get("kind").Text() == "ClusterRole" && slices.Contains([]string{"cluster-admin", "admin", "edit"}, name) {
			r.at([]string{"roleRef", "name"}, "the role %s allows commands and copies into running containers (exec, cp)", name).about(name)
		}
	}
}

// interactiveRule reports one rule of a role, once for all that it allows.
func interactiveRule(o *manifest.Resource, r *reporter, index int, rule manifest.Value) {
	if !hasAny(rule.Get("apiGroups"), "", "*") {
		return
	}
	var place manifest.Value
	var allows, resources []string
	for _, s := range sessions {
		if o.Kind == "Role" && s.resource == "nodes" || !hasAny(rule.Get("verbs"), append(s.verbs, "*")...) {
			continue
		}
		for _, v := range rule.Get("resources").Items() {
			switch v.Text() {
			// Kubernetes has no pods/*, which would name a subresource called *.
			case "*", s.resource + "/" + s.subresource, "*/" + s.subresource:
				if !place.Exists() {
					place = v
				}
				if !slices.Contains(allows, s.what) {
					allows, resources = append(allows, s.what), append(resources, s.resource+"/"+s.subresource)
				}
			}
		}
	}
	if len(allows) > 0 {
		r.add(place, "rules["+itoa(index)+"].resources", "the role allows %s", strings.Join(allows, ", ")).about(resources...)
	}
}

// hasAny reports whether a list has one of some texts.
func hasAny(list manifest.Value, texts ...string) bool {
	for _, v := range list.Items() {
		if slices.Contains(texts, v.Text()) {
			return true
		}
	}
	return false
}
