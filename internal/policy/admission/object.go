package admission

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/text"
)

const apiVersion = "admissionregistration.k8s.io/v1"

// An Object is an object of a cluster, with its fields in the order in which people write
// them. It has only the fields that are used here.
type Object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       any      `yaml:"spec"`
}

type metadata struct {
	Name   string            `yaml:"name"`
	Labels map[string]string `yaml:"labels,omitempty"`
}

type policySpec struct {
	FailurePolicy    string           `yaml:"failurePolicy"`
	MatchConstraints matchConstraints `yaml:"matchConstraints"`
	MatchConditions  []condition      `yaml:"matchConditions"`
	Variables        []variable       `yaml:"variables"`
	Validations      []validation     `yaml:"validations"`
}

type matchConstraints struct {
	ResourceRules []resourceRule `yaml:"resourceRules"`
}

type resourceRule struct {
	APIGroups   []string `yaml:"apiGroups,flow"`
	APIVersions []string `yaml:"apiVersions,flow"`
	Operations  []string `yaml:"operations,flow"`
	Resources   []string `yaml:"resources,flow"`
}

type condition struct {
	Name       string `yaml:"name"`
	Expression string `yaml:"expression"`
}

type variable struct {
	Name       string `yaml:"name"`
	Expression string `yaml:"expression"`
}

type validation struct {
	Expression        string `yaml:"expression"`
	Message           string `yaml:"message"`
	MessageExpression string `yaml:"messageExpression"`
	Reason            string `yaml:"reason"`
}

type mutatingSpec struct {
	FailurePolicy      string           `yaml:"failurePolicy"`
	ReinvocationPolicy string           `yaml:"reinvocationPolicy"`
	MatchConstraints   matchConstraints `yaml:"matchConstraints"`
	MatchConditions    []condition      `yaml:"matchConditions"`
	Variables          []variable       `yaml:"variables"`
	Mutations          []mutationSpec   `yaml:"mutations"`
}

type mutationSpec struct {
	PatchType          string `yaml:"patchType"`
	ApplyConfiguration *patch `yaml:"applyConfiguration,omitempty"`
	JSONPatch          *patch `yaml:"jsonPatch,omitempty"`
}

type patch struct {
	Expression string `yaml:"expression"`
}

type mutatingBindingSpec struct {
	PolicyName     string          `yaml:"policyName"`
	MatchResources *matchResources `yaml:"matchResources,omitempty"`
}

type bindingSpec struct {
	PolicyName        string          `yaml:"policyName"`
	ValidationActions []Action        `yaml:"validationActions,flow"`
	MatchResources    *matchResources `yaml:"matchResources,omitempty"`
}

type matchResources struct {
	NamespaceSelector *Selector `yaml:"namespaceSelector"`
}

// Write writes objects as YAML, after lines of comments. An API server refuses a file whose
// first document has nothing but comments, so that they are part of the first object.
func Write(w io.Writer, comments []string, objects []Object) error {
	var b bytes.Buffer
	for _, line := range comments {
		fmt.Fprintf(&b, "# %s\n", strings.ReplaceAll(text.Wrap(line, 100), "\n", "\n# "))
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	for _, o := range objects {
		if err := e.Encode(o); err != nil {
			return fmt.Errorf("encode %s %s: %w", o.Kind, o.Metadata.Name, err)
		}
	}
	if err := e.Close(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
