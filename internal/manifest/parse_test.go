package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pod returns a Pod with additional lines in its only container, from line 9
// on.
func pod(lines ...string) string {
	text := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: web\n    image: nginx\n"
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return text
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"not YAML", "a: b: c\n", []string{`x.yaml:1:1: not YAML: mapping values are not allowed in this context (check the indentation of this line and the one above, and quote text that contains ": ")`}},
		{"a tab", "a:\n\tb: c\n", []string{`x.yaml:2:2: not YAML: found character that cannot start any token (indent with spaces; YAML does not allow tabs there)`}},
		{"a template", "kind: {{ .Values.kind }}\n", []string{`x.yaml:1:8: a key must be a string (this looks like a template; render it first, e.g. with helm template)`}},
		{"a template's control line", "a: b\n{{- if .Values.x }}\nc: d\n{{ end }}\n", []string{`x.yaml:2:1: not YAML: could not find expected ':' (this looks like a template; render it first, e.g. with helm template)`}},
		{"a template in a string", strings.ReplaceAll(pod(), "nginx", `"{{ .Values.image }}"`), []string{`x.yaml:8:5: spec.containers[0].image: "{{ .Values.image }}" is not an image reference (this looks like a template; render it first, e.g. with helm template)`}},
		{"a key twice", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  name: b\n", []string{`x.yaml:5:3: duplicate key "name" (it is already set on line 4; only one of the two can count)`}},
		{"a key twice in JSON", "{\"kind\": \"Pod\",\n \"kind\": \"Pod\"}", []string{`x.yaml:2:2: duplicate key "kind" (it is already set on line 1; only one of the two can count)`}},
		{"not UTF-8", "a: b\nc: \xff\n", []string{`x.yaml:2: not UTF-8 text (convert it, e.g. with iconv -t UTF-8)`}},
		{"no object", "- a\n", []string{`x.yaml:1:1: expected a Kubernetes object, found a list`}},
		{"no kind", "apiVersion: v1\n", []string{`x.yaml:1:1: not a Kubernetes object: apiVersion and kind must be set (both stand at the top of each document)`}},
		{"a kustomization", "resources:\n- a.yaml\n", []string{`x.yaml:1:1: not a Kubernetes object: apiVersion and kind must be set (this looks like a kustomization; render it first with kubectl kustomize)`}},
		{"an old API", "apiVersion: extensions/v1beta1\nkind: Deployment\n", []string{`x.yaml:1:13: apiVersion: Kubernetes has no Deployment in extensions/v1beta1 (write apiVersion: apps/v1)`}},
		{"no such anchor", "a: *b\n", []string{`x.yaml:1:1: not YAML: unknown anchor 'b' referenced (an anchor must stand above its alias, in the same document)`}},
		{"an anchor of another document", "apiVersion: v1\nkind: Pod\nmetadata: &m {name: a}\n---\nmetadata: *m\n", []string{`x.yaml:5:11: unknown anchor *m (an anchor must stand above its alias, in the same document)`}},
		{"an anchor in itself", "a: &a [*a]\n", []string{`x.yaml:1:8: anchor &a contains itself`}},
		{"a null document in a List", "apiVersion: v1\nkind: List\nitems: {}\n", []string{`x.yaml:3:8: items: expected a list, found a mapping`}},
		{"several at once", pod("ports:", "- containerPort: 0x1F90", "  protcol: UDP", "- containerPort: \"80\"", "resources: {limits: {cpu: lots}}", "env: [{name: A, value: 1}]", "imagePullPolicy: always"), []string{
			`x.yaml:11:7: spec.containers[0].ports[0].protcol: unknown field (did you mean protocol?)`,
			`x.yaml:12:22: spec.containers[0].ports[1].containerPort: expected a whole number, found the string "80" (write 80 without quotes)`,
			`x.yaml:13:31: spec.containers[0].resources.limits.cpu: the string "lots": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`,
			`x.yaml:14:28: spec.containers[0].env[0].value: expected a string, found the number 1 (quote it: "1")`,
			`x.yaml:15:5: spec.containers[0].imagePullPolicy: "always" is none of Always, IfNotPresent, Never (did you mean Always?)`,
		}},
		{"a tag", pod("workingDir: !path /srv"), []string{`x.yaml:9:17: spec.containers[0].workingDir: unknown tag !path`}},
		{"two of one name", pod() + "---\n" + pod(), []string{`x.yaml:10:1: metadata.name: Pod web is defined twice (the first is on line 1)`}},
		{"yes is a boolean", pod("env: [{name: A, value: yes}]"), []string{`x.yaml:9:28: spec.containers[0].env[0].value: expected a string, found the boolean yes (quote it: "yes")`}},
		{"a list that is none", pod("command: nginx"), []string{`x.yaml:9:14: spec.containers[0].command: expected a list, found the string "nginx" (write it as a list item: - nginx)`}},
		{"a number that does not fit", pod("ports: [{containerPort: 99999999999}]"), []string{`x.yaml:9:29: spec.containers[0].ports[0].containerPort: 99999999999 is out of range`}},
		{"not base64", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: plain!}\n", []string{`x.yaml:4:11: data.a: not base64 (plain text goes under stringData)`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(tt.text))
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("got %v, want Errors", err)
			}
			var got []string
			for _, e := range errs {
				got = append(got, e.Error())
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestParseDocuments(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"only comments", "# a\n---\n# b\n", nil},
		{"documents", "# c\n---\n" + pod() + "--- # and\n" + strings.Replace(pod(), "name: web", "name: b", 1) + "...\n---\n...\n", []string{"Pod default/web", "Pod default/b"}},
		{"content behind the marker", "--- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ns}, spec: {containers: [{name: a, image: b}]}}\n", []string{"Pod ns/a"}},
		{"a byte order mark", "\xEF\xBB\xBF" + pod(), []string{"Pod default/web"}},
		{"CRLF", strings.ReplaceAll(pod(), "\n", "\r\n"), []string{"Pod default/web"}},
		{"a directive", "%YAML 1.1\n---\n" + pod(), []string{"Pod default/web"}},
		{"a typed list", `{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"b"}]}}]}`, []string{"Pod default/a"}},
		{"lists in a list", `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"b"}]}}]}]}`, []string{"Pod default/a"}},
		{"JSON documents", `{"apiVersion":"v1","kind":"Service"} {"apiVersion":"v1","kind":"Namespace"}`, nil},
		{"anchors and merge keys", "apiVersion: v1\nkind: Pod\nmetadata: {name: &n web}\nspec:\n  containers:\n  - &base\n    name: *n\n    image: a\n  - <<: *base\n    name: b\n  - <<: [{name: c}, *base]\n", []string{"Pod default/web"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("x.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range f.Workloads() {
				got = append(got, w.String())
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestMergedContainers(t *testing.T) {
	f, err := Parse("x.yaml", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - &base\n    name: a\n    image: i\n    tty: true\n  - <<: [{tty: false}, *base]\n    name: b\n"))
	if err != nil {
		t.Fatal(err)
	}
	b := f.Workloads()[0].Template.Spec.Containers[1]
	if b.Name != "b" || b.Image != "i" || b.TTY {
		t.Errorf("got %s %s %v", b.Name, b.Image, b.TTY)
	}
}

// TestBounds checks inputs that try to exhaust memory or the stack.
func TestBounds(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 30; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	tests := map[string]string{
		"alias bomb":          bomb,
		"deep flow YAML":      strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "\n---\n",
		"deeper flow YAML":    "a: " + strings.Repeat("[", 200000),
		"deep block YAML":     strings.Repeat("- ", 5000) + "x\n",
		"deep JSON":           strings.Repeat(`{"a":`, 100000),
		"quoted text aliased": "a: &a \"" + strings.Repeat("x", 1<<20) + "\"\nb: [" + strings.Repeat("*a,", 1<<10) + "]\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(text))
			if err == nil {
				t.Fatal("accepted")
			}
			if len(err.Error()) > 400 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestBigFile(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata:\n")
	for i := range 900 {
		fmt.Fprintf(&b, "  key%d: |\n%s", i, strings.Repeat("    a line of text in a block\n", 30))
	}
	document := b.String()
	for i := range 15 {
		fmt.Fprintf(&b, "---\n%s", strings.Replace(document, "big", fmt.Sprintf("big%d", i), 1))
	}
	b.WriteString("---\n" + pod())
	if b.Len() < 10<<20 {
		t.Fatalf("only %d bytes", b.Len())
	}
	f, err := Parse("big.yaml", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.ConfigMaps()); n != 16 {
		t.Errorf("got %d ConfigMaps", n)
	}
	if got, want := f.Workloads()[0].Line(""), bytes.Count(b.Bytes(), []byte("\n"))-8+1; got != want {
		t.Errorf("got line %d, want %d", got, want)
	}
}

func TestSecretData(t *testing.T) {
	f, err := Parse("x.yaml", []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  a: YQ==\n  b: |\n    Yg==\nstringData: {b: c}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {on: \"1\", 3: x}\nbinaryData: {b: YQ==}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.Secrets()[0].Data, map[string][]byte{"a": []byte("a"), "b": []byte("c")}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(f.ConfigMaps()[0].Data, map[string]string{"true": "1", "3": "x"}); diff != "" {
		t.Error(diff)
	}
}
