//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const admissionPath = "/apis/admissionregistration.k8s.io/v1/"

// admissionPlurals are the segments of paths of admission policies.
var admissionPlurals = map[string]string{
	"ValidatingAdmissionPolicy": "validatingadmissionpolicies", "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
	"MutatingAdmissionPolicy": "mutatingadmissionpolicies", "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}

// An admissionObject is the part of a policy or a binding that tests use.
type admissionObject struct {
	Kind     string
	Metadata struct {
		Name       string
		Generation int64
	}
	Spec struct {
		ValidationActions []string
	}
	Status struct {
		ObservedGeneration int64
		TypeChecking       struct {
			ExpressionWarnings []struct{ FieldRef, Warning string }
		}
	}
}

func (o admissionObject) path() string {
	return admissionPath + admissionPlurals[o.Kind] + "/" + o.Metadata.Name
}

// ApplyPolicies applies the policies and bindings of a text, strictly, and returns them.
func (c *Cluster) ApplyPolicies(ctx context.Context, text []byte) ([]admissionObject, error) {
	var all []admissionObject
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var o admissionObject
		if err := yaml.Unmarshal(document, &o); err != nil {
			return nil, err
		}
		_, warnings, err := c.api.send(ctx, http.MethodPatch, o.path()+"?fieldManager=test&force=true&fieldValidation=Strict", "application/apply-patch+yaml", document)
		if err != nil || len(warnings) > 0 {
			return nil, fmt.Errorf("%s: %w, warnings %q", o.path(), err, warnings)
		}
		all = append(all, o)
	}
	return all, nil
}

// DeletePolicies removes what ApplyPolicies applied.
func (c *Cluster) DeletePolicies(ctx context.Context, all []admissionObject) error {
	for _, o := range all {
		if _, err := c.api.call(ctx, http.MethodDelete, o.path(), nil); err != nil {
			return err
		}
	}
	return nil
}

// Try sends an object as a dry run for a namespace, and returns the warnings of the response.
func (a *api) Try(ctx context.Context, namespace string, object map[string]any) (warnings []string, err error) {
	kind, _ := object["kind"].(string)
	r, ok := resources[kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind %q", kind)
	}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	path := r.group + "/namespaces/" + namespace + "/" + r.plural
	if strings.HasPrefix(kind, "Cluster") {
		path = r.group + "/" + r.plural
	}
	_, warnings, err = a.send(ctx, http.MethodPost, path+"?dryRun=All&fieldValidation=Ignore", "application/json", data)
	return warnings, err
}

// startStatic starts a second API server, with a store of its own, whose admission is
// configured by a file. It has no controllers.
func (c *Cluster) startStatic(ctx context.Context, config string) (*api, *process, error) {
	const url = "https://" + nodeIP + ":6444"
	args := slices.DeleteFunc(c.apiserverArgs(), func(a string) bool { return strings.HasPrefix(a, "--cert-dir=") })
	args = append(args, "--etcd-prefix=/static", "--secure-port=6444", "--cert-dir="+c.path("static"), "--admission-control-config-file="+config)
	p, err := startProcess(c.program("kube-apiserver"), filepath.Join(c.dir, "static.log"), c.environment(), args...)
	if err != nil {
		return nil, nil, err
	}
	a, err := newAPI(url, c.path("tls.crt"), c.api.token)
	if err == nil {
		err = until(ctx, p, a.ready)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, p.lastLines())
	}
	return a, p, nil
}
