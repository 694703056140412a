package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkedOn returns a line for each finding, and one for each that is ignored.
func checkedOn(t *testing.T, today, text string, rules ...string) []string {
	t.Helper()
	selected, err := Select(rules)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range read(t, "x.yaml", text) {
		r := Checker{Rules: selected, Today: today}.Check(&d)
		for _, f := range r.Findings {
			got = append(got, fmt.Sprintf("%s %s", f.Rule, f.Container))
		}
		for _, i := range r.Ignored {
			got = append(got, fmt.Sprintf("%s %s ignored by %s", i.Rule, i.Container, i.By.Owner))
		}
	}
	slices.Sort(got)
	return got
}

// An exception is for the object or the pod template that it is in, and for nothing else.
func TestExceptionsInAnnotations(t *testing.T) {
	text := `apiVersion: example.com/v1
kind: Steps
metadata:
  name: s
  annotations:
    adamant.sh/ignore.host-namespace: "until=2027-03-31; owner=object; reason=r"
spec:
  steps:
  - template:
      metadata:
        annotations:
          adamant.sh/ignore.privileged: |
            until=2027-03-31; owner=one; container=a*; reason=r
            until=2027-02-28; owner=two; container=b; reason=r
      spec: {hostPID: true, containers: [&p {name: a1, securityContext: {privileged: true}}, {<<: *p, name: b}, {<<: *p, name: c}]}
  - template:
      spec: {hostPID: true, containers: [{<<: *p, name: a2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other}
spec: {hostPID: true, containers: [{name: a1, securityContext: {privileged: true}}]}
`
	for today, want := range map[string][]string{
		"2027-02-28": {
			"host-namespace ", "host-namespace  ignored by object", "host-namespace  ignored by object",
			"privileged a1", "privileged a1 ignored by one", "privileged a2", "privileged b ignored by two", "privileged c",
		},
		"2027-03-01": {
			"exception-expired ",
			"host-namespace ", "host-namespace  ignored by object", "host-namespace  ignored by object",
			"privileged a1", "privileged a1 ignored by one", "privileged a2", "privileged b", "privileged c",
		},
		"": {"host-namespace ", "host-namespace ", "host-namespace ", "privileged a1", "privileged a1", "privileged a2", "privileged b", "privileged c"},
	} {
		got := checkedOn(t, today, text, "privileged", "host-namespace", ExceptionInvalid, ExceptionExpired, ExceptionUnused)
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s (-got +want):\n%s", today, d)
		}
	}
	// Nothing is unused because its rule was not evaluated.
	if got := checkedOn(t, "2027-01-01", text, ExceptionUnused); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestExceptionsAreBounded checks that too many exceptions, and too long ones, are findings.
func TestExceptionsAreBounded(t *testing.T) {
	pod := func(annotations string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n" + annotations + "spec: {containers: [{name: c, securityContext: {privileged: true}}]}\n"
	}
	var lines, keys strings.Builder
	lines.WriteString("    adamant.sh/ignore.privileged: |\n")
	for i := range 2 * maxExceptions {
		fmt.Fprintf(&lines, "      until=2027-01-01; owner=o; container=x%d; reason=r\n", i)
		fmt.Fprintf(&keys, "    adamant.sh/ignore.x%d: a\n", i)
	}
	for name, tt := range map[string]struct {
		annotations string
		want        int
	}{
		"lines":  {lines.String(), 1},
		"keys":   {keys.String(), maxExceptions + 1},
		"reason": {"    adamant.sh/ignore.privileged: until=2027-01-01; owner=o; reason=" + strings.Repeat("x", maxReason+1) + "\n", 1},
	} {
		got := checkedOn(t, "2026-11-30", pod(tt.annotations), "privileged", ExceptionInvalid)
		invalid := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != "exception-invalid " })
		if len(invalid) != tt.want || !slices.Contains(got, "privileged c") {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func FuzzParseIgnore(f *testing.F) {
	f.Add("privileged", "until=2027-03-31; owner=team; container=web; reason=why; and why")
	f.Add("x", "reason=\n=;;container=[")
	f.Fuzz(func(t *testing.T, rule, text string) {
		for _, a := range parseIgnore(rule, text) {
			if len(a.invalid) == 0 && (a.Until == "" || a.Owner == "" || a.Reason == "" || len(a.Until) != len("2006-01-02")) {
				t.Errorf("%q is taken for %+v", text, a.Exception)
			}
		}
	})
}
