// Package admission writes rules as admission policies, which an API server evaluates
// itself. It is pure: it takes rules and returns objects.
//
// It evaluates nothing and reaches no cluster.
package admission

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/policy"
)

// An Action is what an API server does with an object that breaks a rule.
type Action string

// The actions.
const (
	Deny  Action = "Deny"  // it refuses the request
	Warn  Action = "Warn"  // it sends a warning with the response
	Audit Action = "Audit" // it adds an annotation to the event in its audit log
)

// ParseActions returns the actions of texts in any case.
func ParseActions(texts []string) ([]Action, error) {
	var actions []Action
	seen := map[Action]bool{}
	for _, t := range texts {
		var a Action
		switch strings.ToLower(t) {
		case "deny":
			a = Deny
		case "warn":
			a = Warn
		case "audit":
			a = Audit
		default:
			return nil, fmt.Errorf("unknown action %q: want deny, warn or audit", t)
		}
		if !seen[a] {
			actions = append(actions, a)
		}
		seen[a] = true
	}
	switch {
	case len(actions) == 0:
		return nil, fmt.Errorf("no action: want deny, warn or audit")
	case seen[Deny] && seen[Warn]:
		return nil, fmt.Errorf("an API server that denies sends no warning: choose one of deny and warn")
	}
	return actions, nil
}

// Options configures policies.
type Options struct {
	Rules   []policy.Rule
	Actions []Action
	FailOn  policy.Severity // rules of less than this severity never deny, but warn

	// Namespaces selects the namespaces in which the policies are in force, by their labels.
	// If it is nil, they are in force in all. Objects without a namespace are always checked.
	Namespaces *Selector

	Sealed []Sealed // containers that mutating policies seal

	// Static is for policies in files of an API server. Their names have another end.
	Static bool
}

// Suffixes of the names of policies. An API server reads only names with the second one
// from its files, and accepts none through its API.
const (
	suffix       = ".adamant.sh"
	staticSuffix = ".adamant.static.k8s.io"
)

// RuleLabel is a label of policies and bindings: the rule.
const RuleLabel = "adamant.sh/rule"

// Policies returns a policy and its binding for each rule that can be written in CEL.
func Policies(opts Options) []Object {
	var all []Object
	for _, r := range opts.Rules {
		if r.CEL.Impossible == "" {
			all = append(all, newPolicy(r, opts), newBinding(r, opts))
		}
	}
	return all
}

func (o Options) name(r policy.Rule) string {
	if o.Static {
		return r.ID + staticSuffix
	}
	return r.ID + suffix
}

func (o Options) metadata(r policy.Rule) metadata {
	return metadata{Name: o.name(r), Labels: map[string]string{RuleLabel: r.ID}}
}

func newBinding(r policy.Rule, opts Options) Object {
	spec := bindingSpec{PolicyName: opts.name(r), ValidationActions: opts.actions(r)}
	if opts.Namespaces != nil {
		spec.MatchResources = &matchResources{NamespaceSelector: opts.Namespaces}
	}
	return Object{apiVersion, "ValidatingAdmissionPolicyBinding", opts.metadata(r), spec}
}

// actions returns the actions for a rule: one that should not fail warns instead.
func (o Options) actions(r policy.Rule) []Action {
	var actions []Action
	for _, a := range o.Actions {
		if a == Deny && r.Severity < o.FailOn {
			a = Warn
		}
		actions = append(actions, a)
	}
	return actions
}

func newPolicy(r policy.Rule, opts Options) Object {
	variables := usedVariables(bad(r.CEL))
	text := message(r)
	return Object{apiVersion, "ValidatingAdmissionPolicy", opts.metadata(r), policySpec{
		FailurePolicy:    "Fail", // what could not be evaluated is not clean
		MatchConstraints: matchConstraints{ResourceRules: resourceRules(r.CEL, variables)},
		MatchConditions:  matchConditions(r.CEL),
		Variables:        append(variables, variable{"bad", bad(r.CEL)}),
		Validations: []validation{{
			Expression:        "variables.bad.size() == 0",
			Message:           text,
			MessageExpression: "variables.bad.join(', ') + " + strconv.Quote(": "+text),
			Reason:            "Forbidden",
		}},
	}}
}

// message returns the text of a rule for whoever sent an object.
func message(r policy.Rule) string {
	return strings.ToLower(r.Title[:1]) + r.Title[1:] + "; " + r.Fix
}

// bad returns the expression of a list of what breaks a rule.
func bad(c policy.CEL) string {
	switch {
	case c.Container != "":
		return "variables.containers.filter(c,\n" + indent(c.Container) + "\n).map(c, 'container ' + c.name)"
	case c.Pod != "":
		return c.Pod
	}
	return c.Object
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

var usesVariable = regexp.MustCompile(`\bvariables\.(\w+)`)

// usedVariables returns the variables that an expression uses, directly or not, in an order
// in which each uses those before it only.
func usedVariables(expression string) []variable {
	all := policy.Variables()
	used := map[string]bool{}
	note := func(text string) {
		for _, m := range usesVariable.FindAllStringSubmatch(text, -1) {
			used[m[1]] = true
		}
	}
	note(expression)
	for i := len(all) - 1; i >= 0; i-- {
		if used[all[i].Name] {
			note(all[i].Expression)
		}
	}
	var variables []variable
	for _, v := range all {
		if used[v.Name] {
			variables = append(variables, variable(v))
		}
	}
	return variables
}

// pods are the resources with one pod.
var pods = []policy.Resource{
	{Group: "", Version: "v1", Name: "pods"}, {Group: "", Version: "v1", Name: "podtemplates"}, {Group: "", Version: "v1", Name: "replicationcontrollers"},
	{Group: "apps", Version: "v1", Name: "daemonsets"}, {Group: "apps", Version: "v1", Name: "deployments"},
	{Group: "apps", Version: "v1", Name: "replicasets"}, {Group: "apps", Version: "v1", Name: "statefulsets"},
	{Group: "batch", Version: "v1", Name: "cronjobs"}, {Group: "batch", Version: "v1", Name: "jobs"},
}

// resourceRules returns the requests that a rule is for, one for each group of an API.
func resourceRules(c policy.CEL, variables []variable) []resourceRule {
	resources, operations := c.Resources, []string{"CREATE", "UPDATE"}
	if c.Object == "" {
		resources = pods
	} else if c.Compared == "" {
		operations = operations[:1]
	}
	var rules []resourceRule
	for _, r := range resources {
		if n := len(rules); n > 0 && rules[n-1].APIGroups[0] == r.Group {
			rules[n-1].Resources = append(rules[n-1].Resources, r.Name)
			continue
		}
		rules = append(rules, resourceRule{[]string{r.Group}, []string{r.Version}, operations, []string{r.Name}})
	}
	for _, v := range variables {
		if v.Name == "containers" { // kubectl debug adds one to a running pod
			return append(rules, resourceRule{[]string{""}, []string{"v1"}, []string{"UPDATE"}, []string{"pods/ephemeralcontainers"}})
		}
	}
	return rules
}

// matchConditions returns the conditions under which a request is looked at at all.
func matchConditions(c policy.CEL) []condition {
	conditions := []condition{{
		// Otherwise a policy that is in force at the first start would stop the API server.
		"sent-by-others-than-the-api-server", "request.userInfo.username != 'system:apiserver'",
	}}
	compared := c.Compared
	if c.Object == "" {
		compared = policy.ComparedPod
	}
	if compared == "" {
		return conditions
	}
	part := func(object string) string { return strings.ReplaceAll(compared, "OBJECT", object) }
	// Controllers update the status, finalizers and replicas of what was there before.
	return append(conditions, condition{"changed", "request.operation != 'UPDATE' ||\n" + part("object") + " !=\n" + part("oldObject")})
}
