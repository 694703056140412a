package admission

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/policy"
)

// written returns the policies and bindings of a text, which is read strictly.
func written(t *testing.T, text []byte) (policies []v1.ValidatingAdmissionPolicy, bindings []v1.ValidatingAdmissionPolicyBinding) {
	t.Helper()
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var p v1.ValidatingAdmissionPolicy
		var b v1.ValidatingAdmissionPolicyBinding
		if err := yaml.UnmarshalStrict(document, &p); err == nil && p.Kind == "ValidatingAdmissionPolicy" {
			policies = append(policies, p)
		} else if err := yaml.UnmarshalStrict(document, &b); err == nil && b.Kind == "ValidatingAdmissionPolicyBinding" {
			bindings = append(bindings, b)
		} else {
			t.Fatalf("%v\n%s", err, document)
		}
	}
	return policies, bindings
}

func write(t *testing.T, opts Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, Limits(opts.Rules), Policies(opts)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEachRuleHasItsPolicy checks that each rule is in CEL, or has the reason why it cannot
// be.
func TestEachRuleHasItsPolicy(t *testing.T) {
	for _, r := range policy.Rules() {
		ways := 0
		for _, set := range []string{r.CEL.Container, r.CEL.Pod, r.CEL.Object, r.CEL.Impossible} {
			if set != "" {
				ways++
			}
		}
		if ways != 1 {
			t.Errorf("%s: CEL has %d of Container, Pod, Object and Impossible, want one", r.ID, ways)
		}
		if (r.CEL.Object != "") != (len(r.CEL.Resources) > 0) {
			t.Errorf("%s: Object and Resources belong together", r.ID)
		}
	}
	policies, bindings := written(t, write(t, Options{Rules: policy.Rules(), Actions: []Action{Deny}, FailOn: policy.Low}))
	rules := Written(policy.Rules())
	if len(policies) != len(rules) || len(bindings) != len(rules) {
		t.Fatalf("%d policies and %d bindings for %d rules", len(policies), len(bindings), len(rules))
	}
	for i, r := range rules {
		p, b := policies[i], bindings[i]
		if p.Name != r.ID+".adamant.sh" || b.Spec.PolicyName != p.Name || p.Labels[RuleLabel] != r.ID {
			t.Errorf("%s: got the policy %s and a binding for %s", r.ID, p.Name, b.Spec.PolicyName)
		}
		if *p.Spec.FailurePolicy != v1.Fail || b.Spec.MatchResources != nil || !strings.HasSuffix(p.Spec.Validations[0].Message, r.Fix) {
			t.Errorf("%s: got %+v", r.ID, p.Spec)
		}
	}
}

// TestDebugContainersAreLookedAt checks that rules for containers are in force when one is
// added to a running pod.
func TestDebugContainersAreLookedAt(t *testing.T) {
	policies, _ := written(t, write(t, Options{Rules: policy.Rules(), Actions: []Action{Deny}, FailOn: policy.Low}))
	var got []string
	for _, p := range policies {
		for _, r := range p.Spec.MatchConstraints.ResourceRules {
			if slices.Contains(r.Resources, "pods/ephemeralcontainers") {
				got = append(got, p.Labels[RuleLabel])
			}
		}
	}
	var want []string
	for _, r := range policy.Rules() {
		if r.CEL.Container != "" || strings.Contains(r.CEL.Pod, "variables.containers") || strings.Contains(r.CEL.Pod, "variables.mounted") {
			want = append(want, r.ID)
		}
	}
	if len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestActions(t *testing.T) {
	for _, tt := range []struct {
		texts []string
		err   string
		high  string // the actions of a rule of this severity, with --fail-on high
		low   string
	}{
		{[]string{"deny"}, "", "[Deny]", "[Warn]"},
		{[]string{"Deny", "audit", "deny"}, "", "[Deny Audit]", "[Warn Audit]"},
		{[]string{"warn", "audit"}, "", "[Warn Audit]", "[Warn Audit]"},
		{[]string{"audit"}, "", "[Audit]", "[Audit]"},
		{[]string{"deny", "warn"}, "sends no warning", "", ""},
		{[]string{"block"}, `unknown action "block"`, "", ""},
		{nil, "no action", "", ""},
	} {
		actions, err := ParseActions(tt.texts)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: got %v, want %q", tt.texts, err, tt.err)
		}
		if err != nil {
			continue
		}
		opts := Options{Actions: actions, FailOn: policy.High}
		for severity, want := range map[policy.Severity]string{policy.High: tt.high, policy.Low: tt.low} {
			if got := opts.actions(policy.Rule{Severity: severity}); "["+strings.Join(texts(got), " ")+"]" != want {
				t.Errorf("%q, %s: got %v, want %s", tt.texts, severity, got, want)
			}
		}
	}
}

func texts(actions []Action) []string {
	var all []string
	for _, a := range actions {
		all = append(all, string(a))
	}
	return all
}

func TestParseSelector(t *testing.T) {
	for text, want := range map[string]string{
		"env=prod":               "matchExpressions:\n- key: env\n  operator: In\n  values:\n  - prod\n",
		"env!=prod":              "matchExpressions:\n- key: env\n  operator: NotIn\n  values:\n  - prod\n",
		"!a,b":                   "matchExpressions:\n- key: a\n  operator: DoesNotExist\n- key: b\n  operator: Exists\n",
		"team notin (b, a), c=d": "matchExpressions:\n- key: c\n  operator: In\n  values:\n  - d\n- key: team\n  operator: NotIn\n  values:\n  - a\n  - b\n",
	} {
		s, err := ParseSelector(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, bindings := written(t, write(t, Options{Rules: policy.Rules()[:1], Actions: []Action{Deny}, Namespaces: s}))
		got, err := yaml.Marshal(bindings[0].Spec.MatchResources.NamespaceSelector)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s%v, want %s", text, got, err, want)
		}
	}
	if s, err := ParseSelector(" "); s != nil || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
	for _, text := range []string{"a=b=c", "a>1", "("} {
		if s, err := ParseSelector(text); err == nil {
			t.Errorf("%s: got %+v", text, s)
		}
	}
}

// TestStaticFiles checks what an API server requires of its files: names, and nothing but
// policies in their directory.
func TestStaticFiles(t *testing.T) {
	files, err := StaticFiles("/etc/kubernetes/adamant/", Options{Rules: policy.Rules(), Actions: []Action{Deny}, Static: true})
	if err != nil || len(files) != 2 || files[0].Name != "validating/adamant.yaml" || files[1].Name != "admission.yaml" {
		t.Fatalf("got %v, %v", files, err)
	}
	policies, bindings := written(t, files[0].Data)
	for i := range policies {
		if !strings.HasSuffix(policies[i].Name, ".static.k8s.io") || bindings[i].Spec.PolicyName != policies[i].Name || bindings[i].Name != policies[i].Name {
			t.Errorf("got %s, %s", policies[i].Name, bindings[i].Name)
		}
	}
	if !strings.Contains(string(files[1].Data), "staticManifestsDir: /etc/kubernetes/adamant/validating\n") {
		t.Errorf("got %s", files[1].Data)
	}
	if _, err := StaticFiles("adamant", Options{}); err == nil {
		t.Error("a relative path was accepted")
	}
}

// TestLimitsAreDocumented checks that the output and docs/reference/policy.md have all
// differences from check.
func TestLimitsAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../../docs/reference/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	page := oneLine(string(data))
	output := oneLine(strings.ReplaceAll(string(write(t, Options{Rules: policy.Rules(), Actions: []Action{Deny}})), "\n#", "\n"))
	for _, line := range Limits(policy.Rules())[1:] {
		if !strings.Contains(output, oneLine(line)) {
			t.Errorf("the output has no line %q", line)
		}
		if !strings.Contains(page, oneLine(line)) {
			t.Errorf("docs/reference/policy.md has no line %q", line)
		}
	}
}

// oneLine returns a text with single spaces, and without the marks of code.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "`", "")), " ")
}
