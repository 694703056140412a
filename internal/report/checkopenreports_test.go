package report

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

// schemaOfClusterReports returns the schema with which a kube-apiserver validates
// ClusterReports, from the definition in their module.
var schemaOfClusterReports = sync.OnceValues(func() (*jsonschema.Schema, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/openreports/reports-api").Output()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "charts/openreports/templates/openreports.io_clusterreports.yaml"))
	if err != nil {
		return nil, err
	}
	begin := bytes.Index(data, []byte("apiVersion:")) // behind a condition of Helm
	end := bytes.LastIndex(data, []byte("{{"))
	if end < begin {
		end = len(data)
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data[begin:end], &definition); err != nil {
		return nil, err
	}
	root := definition.Spec.Versions[0].Schema.OpenAPI.(map[string]any)
	forbidUnknown(root)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("clusterreport.json", root); err != nil {
		return nil, err
	}
	return c.Compile("clusterreport.json")
})

// forbidUnknown makes a schema refuse fields that a kube-apiserver would drop.
func forbidUnknown(v any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	if _, ok := m["properties"]; ok {
		m["additionalProperties"] = false
	}
	for _, below := range m {
		forbidUnknown(below)
	}
}

// readReports validates the reports as a kube-apiserver would, and reads them with the
// types of their module.
func readReports(t *testing.T, document []byte) []openreports.ClusterReport {
	t.Helper()
	var list struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(document, &list); err != nil {
		t.Fatal(err)
	}
	if list.APIVersion != "v1" || list.Kind != "List" {
		t.Errorf("got a %s of %s", list.Kind, list.APIVersion)
	}
	schema, err := schemaOfClusterReports()
	if err != nil {
		t.Fatal(err)
	}
	var reports []openreports.ClusterReport
	names := map[string]bool{}
	for _, item := range list.Items {
		if len(item) > 256<<10 {
			t.Errorf("a report of %d bytes", len(item))
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(item))
		if err != nil {
			t.Fatal(err)
		}
		metadata := v.(map[string]any)["metadata"]
		v.(map[string]any)["metadata"] = map[string]any{} // its schema is that of all objects
		if err := schema.Validate(v); err != nil {
			t.Error(err)
		}
		v.(map[string]any)["metadata"] = metadata
		strict := json.NewDecoder(bytes.NewReader(item))
		strict.DisallowUnknownFields()
		var r openreports.ClusterReport
		if err := strict.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if names[r.Name] || len(validation.NameIsDNSSubdomain(r.Name, false)) > 0 {
			t.Errorf("name %q", r.Name)
		}
		names[r.Name] = true
		for key, value := range r.Labels {
			if errs := append(utilvalidation.IsQualifiedName(key), utilvalidation.IsValidLabelValue(value)...); len(errs) > 0 {
				t.Errorf("label %s=%s: %v", key, value, errs)
			}
		}
		reports = append(reports, r)
	}
	return reports
}

func TestCheckOpenReports(t *testing.T) {
	var b bytes.Buffer
	w := NewCheckOpenReportsWriter(&b, []string{"x.yaml"}, time.Unix(1700000000, 5), NewCheckSummary(policy.Rules(), policy.Medium))
	if v := checkAll(t, w, checked+"---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"); v != Incomplete {
		t.Errorf("verdict %d", v)
	}
	reports := readReports(t, b.Bytes())
	if len(reports) != 1 {
		t.Fatalf("%d reports", len(reports))
	}
	var got []string
	for _, r := range reports[0].Results {
		subject := ""
		if len(r.Subjects) > 0 {
			subject = r.Subjects[0].Kind + "/" + r.Subjects[0].Name
		}
		got = append(got, strings.Join([]string{string(r.Result), r.Rule, string(r.Severity), r.Properties["adamant.sh/line"], subject}, "|"))
	}
	pod := `|Pod/a<b>\x1b[31m`
	want := []string{
		"warn|ambiguous|medium|4|", "fail|root-not-read-only|high|4" + pod, "fail|image-not-pinned|medium|4" + pod, "fail|privilege-escalation|medium|4" + pod,
		"fail|host-namespace|high|4" + pod, "warn|automount-token|low|4" + pod, "error|not-understood|medium|6|", "pass|||7|Service/web",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	if s := reports[0].Summary; s != (openreports.ReportSummary{Pass: 1, Fail: 4, Warn: 2, Error: 1}) {
		t.Errorf("got %+v", s)
	}
	if s := reports[0].Annotations["adamant.sh/summary"]; !strings.Contains(s, "3 documents in 1 file") {
		t.Errorf("got %q", s)
	}
}

// A check with many findings is several reports, which have all of them.
func TestCheckOpenReportsAreBounded(t *testing.T) {
	var b bytes.Buffer
	w := NewCheckOpenReportsWriter(&b, []string{"x.yaml"}, time.Unix(1700000000, 0), NewCheckSummary(policy.Rules(), policy.Low))
	evil := strings.Repeat("\x00<&\u202e", 10_000)
	const count = 300
	for i := range count {
		f := policy.Finding{
			Rule: "r", Severity: policy.Low, Object: policy.Object{APIVersion: evil, Kind: evil, Namespace: evil, Name: strconv.Itoa(i)},
			Container: evil, Message: evil, Fix: "fix", Path: evil, Place: manifest.Place{File: evil, Line: 1, Column: 1},
		}
		d := &manifest.Document{File: evil, NotUnderstood: manifest.Errors{{File: evil, Detail: evil, Path: evil, Hint: evil}}}
		if err := w.Document(d, policy.Result{Findings: []policy.Finding{f}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(1); err != nil {
		t.Fatal(err)
	}
	results := 0
	reports := readReports(t, b.Bytes())
	for _, r := range reports {
		results += len(r.Results)
	}
	if results != 2*count || len(reports) < 2 {
		t.Errorf("%d results in %d reports, want %d results", results, len(reports), 2*count)
	}
}

// The names are the same for the same paths, so that a report replaces the last one.
func TestCheckOpenReportsWithoutResults(t *testing.T) {
	names := map[string]bool{}
	for _, paths := range [][]string{{"a"}, {"a"}, {"b"}} {
		var b bytes.Buffer
		checkAll(t, NewCheckOpenReportsWriter(&b, paths, time.Now(), NewCheckSummary(policy.Rules(), policy.Low)), "")
		reports := readReports(t, b.Bytes())
		if len(reports) != 1 || len(reports[0].Results) != 0 {
			t.Errorf("got %+v", reports)
		}
		names[reports[0].Name] = true
	}
	if len(names) != 2 {
		t.Errorf("got %v", names)
	}
}
