package manifest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readAll returns the documents of a stream.
func readAll(t testing.TB, text string) []Document {
	t.Helper()
	var all []Document
	s := NewSplitter(strings.NewReader(text))
	for {
		chunk, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ReadDocuments("x", chunk.Line, chunk.Data)...)
	}
}

// outline returns the objects of documents with their lines and pods, and what was not
// understood.
func outline(documents []Document) string {
	var b strings.Builder
	for _, d := range documents {
		for _, o := range d.Objects {
			fmt.Fprintf(&b, "%d %s", d.PlaceOf(o.Value).Line, o)
			for _, p := range o.Pods {
				fmt.Fprintf(&b, " %s", p.Path)
			}
			b.WriteByte('\n')
		}
		for _, e := range d.NotUnderstood {
			fmt.Fprintln(&b, "not understood:", e)
		}
		for _, e := range d.Ambiguous {
			fmt.Fprintln(&b, "ambiguous:", e)
		}
	}
	return b.String()
}

const podNamedA = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i}]}\n"

func TestDocuments(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", ""},
		{"comments and markers", "# a\n---\n--- # b\n\n...\n---\n", ""},
		{"comment after a marker", podNamedA + "--- # next\n" + podNamedA, "1 Pod a spec\n6 Pod a spec\n"},
		{"blanks after a marker", podNamedA + "---  \n" + podNamedA + "---\t\n" + podNamedA, "1 Pod a spec\n6 Pod a spec\n11 Pod a spec\n"},
		{"CRLF", strings.ReplaceAll(podNamedA+"---\n"+podNamedA, "\n", "\r\n"), "1 Pod a spec\n6 Pod a spec\n"},
		{"byte order marks", "\xEF\xBB\xBF" + podNamedA + "\xEF\xBB\xBF---\n" + podNamedA, "1 Pod a spec\n6 Pod a spec\n"},
		{"end markers", podNamedA + "...\n" + podNamedA + "...\n# c\n---\n" + podNamedA, "1 Pod a spec\n6 Pod a spec\n13 Pod a spec\n"},
		{"directives", "%YAML 1.1\n---\n" + podNamedA + "...\n%YAML 1.1\n---\n" + podNamedA, "3 Pod a spec\n10 Pod a spec\n"},
		{"text on the line of a marker", "--- {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c}]}}\n", "1 Pod a spec\n"},
		{"no marker", "----\n", "1 an object without a kind\n"},
		{"a marker in text", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    ---\n    kind: Pod\n  y: '--- b'\n", "1 ConfigMap a\n"},
		{"JSON that is indented far", strings.Repeat(" ", 70_000) + `{"kind": "A"}{"kind": "B"}`, "1 A\n1 B\n"},
		{"JSON on lines that are indented far", strings.Repeat(strings.Repeat("\t", 200_000)+"{\"kind\": \"A\"}\n", 2), "1 A\n2 A\n"},
		{"blocks that are indented far", strings.ReplaceAll(">kind: A\n>x: 1\n---\n>kind: B\n", ">", strings.Repeat(" ", 70_000)), "1 A\n4 B\n"},
		{"text far behind a marker", "---" + strings.Repeat(" ", 70_000) + "{kind: A}\n", "1 A\n"},
		{"a long line of blanks", strings.Repeat(" ", 200_000) + "\n" + podNamedA, "2 Pod a spec\n"},
		{"a comment that is indented far", strings.Repeat(" ", 70_000) + "# " + strings.Repeat("a ", 70_000), ""},
		{"no end of line", strings.TrimSpace(podNamedA), "1 Pod a spec\n"},
		{"a broken one between others", podNamedA + "---\na: [\n---\n" + podNamedA,
			"1 Pod a spec\nnot understood: x:6:1: not YAML: did not find expected node content\n8 Pod a spec\n"},
		{"a template", "---\nkind: {{ .Values.kind }}\n", "not understood: x:2:8: a key must be a string (this looks like a template; render it first, e.g. with helm template)\n"},
		{"not UTF-8", podNamedA + "---\na: \xff\n", "1 Pod a spec\nnot understood: x:6: not UTF-8 text (convert it, e.g. with iconv -t UTF-8)\n"},
		{"UTF-16", "\xff\xfea\x00:\x00", "not understood: x:1: not UTF-8 text (convert it, e.g. with iconv -t UTF-8)\n"},
		{"a control character", "a: \x01\n", "not understood: x:1:1: not YAML: control characters are not allowed\n"},

		{"JSON", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"c"}]}}`, "1 Pod a spec\n"},
		{"a stream of JSON", "{\"kind\": \"A\",\n \"x\": \"}\\\"\"}\n{\"kind\": \"B\"}{\"kind\": \"C\"}\n\n[{\"kind\": \"D\"}]\n", "1 A\n3 B\n3 C\n5 D\n"},
		{"JSON between markers", "---\n{\"kind\": \"A\"}\n---\n{\"kind\": \"B\"}\n", "2 A\n4 B\n"},
		{"flow style that looks like JSON", "{kind: A, x: 'a}'\n, y: \"{\"} # c\n---\nkind: B\n", "1 A\n4 B\n"},
		{"broken JSON", "{\"kind\": \"A\"}\n{\"kind\": ", "1 A\nnot understood: x:2:1: not YAML: did not find expected node content\n"},

		{"a List", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a, namespace: ns}\n  spec: {containers: [{name: c}]}\n- apiVersion: v1\n  kind: List\n  items: [{kind: A}]\n", "4 Pod ns/a spec\n10 A\n"},
		{"a typed list", "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n  spec: {template: {spec: {containers: [{name: c}]}}}\n", "4 Deployment a spec.template.spec\n"},
		{"a custom kind like a list", `apiVersion: example.com/v1
kind: PlayList
metadata: {name: a}
spec: {template: {spec: {containers: [{name: own}]}}}
items:
- {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {containers: [{name: c}]}}
- {metadata: {name: d}, spec: {containers: [{name: c}]}}
- {name: e, containers: [{name: c}]}
- {template: {spec: {containers: [{name: c}]}}}
- text
---
apiVersion: example.com/v1
kind: PlayList
template: {spec: {containers: [{name: c}]}}
items: []
---
apiVersion: example.com/v1
kind: List
spec: {containers: [{name: c}]}
items: [{kind: A}]
`, "1 PlayList a spec.template.spec items[2] items[3].template.spec\n6 Pod b spec\n7 Play d spec\n12 PlayList template.spec\n17 List spec\n20 A\n"},
		{"an empty list", "apiVersion: v1\nkind: List\nitems: []\n---\nkind: List\n", "5 List\n"},
		{"no object", "a: 1\n---\n- b\n---\ntext\n", "1 an object without a kind\n3 an object without a kind\n5 an object without a kind\n"},

		{"custom resources", `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: no-name-of-the-container}
spec: {template: {spec: {containers: [{image: i}]}}}
---
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
spec:
  replicatedJobs:
  - {name: a, template: {spec: {template: {spec: {containers: [{name: c}]}}}}}
  - {name: b, template: {spec: {template: {spec: {containers: [{name: c}]}}}}}
---
apiVersion: ray.io/v1
kind: RayJob
spec:
  rayClusterSpec:
    headGroupSpec: {template: {spec: {containers: [{name: head}]}}}
    workerGroupSpecs: [{template: {spec: {containers: [{name: w}]}}}]
---
apiVersion: v1
kind: PodTemplate
template: {spec: {containers: [{name: c}]}}
---
apiVersion: batch/v1
kind: CronJob
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c}]}}}}}
---
apiVersion: example.com/v1
kind: Both
spec: {containers: [{name: c}], inner: {spec: {initContainers: [{image: i}]}}}
`, `1 Service no-name-of-the-container spec.template.spec
6 JobSet spec.replicatedJobs[0].template.spec.template.spec spec.replicatedJobs[1].template.spec.template.spec
13 RayJob spec.rayClusterSpec.headGroupSpec.template.spec spec.rayClusterSpec.workerGroupSpecs[0].template.spec
20 PodTemplate template.spec
24 CronJob spec.jobTemplate.spec.template.spec
28 Both spec spec.inner.spec
`},
		{"no pods", `apiVersion: v1
kind: Service
status: {spec: {containers: [{name: c}]}}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
spec: {rules: [{validate: {pattern: {spec: {containers: [{name: "*"}]}}}}]}
---
apiVersion: example.com/v1
kind: Other
spec: {containers: [a, b], x: {containers: []}, y: {containers: {name: c}}, z: {containers: [{port: 1}]}}
`, "1 Service\n5 ClusterPolicy\n9 Other\n"},
		{"a pod without containers", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  container: [{name: c}]\n---\napiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 3}\n---\napiVersion: v1\nkind: Pod\nspec: {containers: [null]}\n",
			`1 Pod a
not understood: x:4:1: spec.containers: a Pod without containers (if it is a patch, render the overlay first: kubectl kustomize DIR | adamant check -)
7 Deployment
not understood: x:9:1: spec.template.spec.containers: a Deployment without containers (if it is a patch, render the overlay first: kubectl kustomize DIR | adamant check -)
11 Pod
not understood: x:13:8: spec.containers: a Pod without containers (if it is a patch, render the overlay first: kubectl kustomize DIR | adamant check -)
`},
		{"fields that no rule can look into", "apiVersion: v1\nkind: Pod\nspec:\n  initContainers: {name: a}\n  volumes: x\n  containers:\n  - name: c\n    securityContext: []\n    volumeMounts: [a]\n", `1 Pod spec
not understood: x:5:3: spec.volumes: expected a list, found the string "x"
not understood: x:4:3: spec.initContainers: expected a list, found a mapping
not understood: x:9:20: spec.containers[0].volumeMounts[0]: expected a mapping, found the string "a"
not understood: x:8:5: spec.containers[0].securityContext: expected a mapping, found a list
`},

		{"anchors", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec: &s {containers: [{name: c}]}\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: b}\n  spec: *s\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: c}\n  spec: {<<: *s, hostPID: true}\n", "4 Pod a spec\n8 Pod b spec\n12 Pod c spec\n"},
		{"duplicate keys", "kind: A\nkind: B\n---\n{\"kind\": \"A\", \"kind\": \"B\"}\n", "1 B\nambiguous: x:2:1: duplicate key \"kind\" (the last one counts for kubectl; others refuse it)\n4 B\nambiguous: x:4:15: duplicate key \"kind\" (the last one counts for kubectl; others refuse it)\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(outline(readAll(t, tt.text)), tt.want); d != "" {
				t.Errorf("(-got +want):\n%s", d)
			}
		})
	}
}

// TestMergePrecedence checks that keys and merge keys count in the order of kubectl.
func TestMergePrecedence(t *testing.T) {
	for text, want := range map[string]string{
		"a: &a {x: 1}\nb:\n  x: 2\n  <<: *a\n":                          "1",
		"a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n":                          "2",
		"a: &a {x: 1}\nc: &c {x: 3}\nb:\n  <<: *a\n  <<: *c\n":          "3",
		"a: &a {x: 1}\nc: &c {x: 3}\nb:\n  <<: [*a, *c]\n":              "1",
		"a: &a {x: 1}\nc: &c {x: 3}\nb:\n  y: 1\n  <<: [*a, *c]\n":      "1",
		"a: &a {x: 1}\nb: &b {x: 2, <<: *a}\nc:\n  y: 1\n  <<: *b\n":    "",
		"a: &a {x: 1}\nb: &c\n  <<: *a\n  y: 1\nd:\n  y: 2\n  <<: *c\n": "",
	} {
		d := readAll(t, text)[0].Objects[0].Value
		switch {
		case want != "":
			if got := d.Get("b", "x").Scalar(); got != want {
				t.Errorf("%q: got %q, want %q", text, got, want)
			}
		default:
			if got := d.Get("c", "x").Scalar() + d.Get("d", "x").Scalar(); got != "1" {
				t.Errorf("%q: got %q, want 1", text, got)
			}
		}
	}
}

// A document that costs much more memory than its size is refused, and so is one that is
// too large; what follows is read.
func TestDocumentsAreBounded(t *testing.T) {
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 10; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	pods := "kind: A\ns: &s {containers: [{name: a}]}\nl: &l [" + strings.Repeat("*s,", 100) + "]\nm: [" + strings.Repeat("*l,", 1000) + "]\n"
	tests := []struct{ name, text, want string }{
		{"billion laughs", laughs, "aliases multiply this document to millions of values"},
		{"many pods by aliases", pods, "aliases multiply this document to too many values"},
		{"deep flow style", strings.Repeat("[", 600) + strings.Repeat("]", 600) + " # not JSON\n", "nested more than 500 levels deep"},
		{"deep JSON", strings.Repeat("[", 100_000), "nested more than 500 levels deep"},
		{"deep blocks", deepBlocks(2000), "nested 2001 levels deep, more than 500"},
		{"many containers by aliases", "kind: A\nc: &c {name: a}\nl: {containers: &l [" + strings.Repeat("*c,", 1000) + "]}\nm: [" + strings.Repeat("{containers: *l},", 300) + "]\n", "more than 100000 containers"},
		{"millions of values", strings.Repeat("- a\n", maxSigns/2+1), "has millions of values"},
		{"properties without end", strings.Repeat("&a ", 200_000) + "\n", "did not find expected"},
		{"an anchor in itself", "a: &a [*a]\n", "anchor &a contains itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			documents := readAll(t, tt.text+"\n---\n"+podNamedA)
			last := documents[len(documents)-1]
			if got := outline(documents[:len(documents)-1]); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got[:min(len(got), 300)], tt.want)
			}
			if len(last.Objects) != 1 || !last.HasPods() {
				t.Errorf("the document behind it was not read: %+v", last)
			}
			n := 0
			for _, d := range documents {
				for _, o := range d.Objects {
					n += len(o.Pods)
				}
			}
			if n > aliasBudget+len(tt.text) {
				t.Errorf("%d pods", n)
			}
		})
	}
}

func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

// A document without an end does not fill the memory, and is counted once.
func TestSplitterIsBounded(t *testing.T) {
	line := strings.Repeat("x", 1<<20) + "\n"
	endless := io.MultiReader(strings.NewReader("a: 1\n"), &repeated{text: "# " + line, times: 64}, strings.NewReader("---\n"+podNamedA))
	s := NewSplitter(endless)
	first, err := s.Next()
	if err != nil || !first.TooLarge || first.Line != 1 || len(first.Data) > MaxFileSize {
		t.Errorf("got line %d, %d bytes, too large %t, %v", first.Line, len(first.Data), first.TooLarge, err)
	}
	second, err := s.Next()
	if err != nil || string(second.Data) != "---\n"+podNamedA || second.Line != 66 {
		t.Errorf("got line %d, %q, %v", second.Line, second.Data, err)
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}

	// What is too large to be kept may begin with blanks, which are no document.
	blanks := &repeated{text: strings.Repeat(" ", 1<<20), times: 40}
	s = NewSplitter(io.MultiReader(blanks, strings.NewReader("{}\n---\n"), &repeated{text: strings.Repeat(" ", 1<<20), times: 40}, strings.NewReader("\n"+podNamedA)))
	if first, err := s.Next(); err != nil || !first.TooLarge || first.Line != 1 {
		t.Errorf("got line %d, too large %t, %v", first.Line, first.TooLarge, err)
	}
	if second, err := s.Next(); err != nil || second.TooLarge || second.Line != 4 || string(second.Data) != podNamedA {
		t.Errorf("got line %d, too large %t, %v", second.Line, second.TooLarge, err)
	}

	// Comments before a document are no document.
	s = NewSplitter(io.MultiReader(&repeated{text: "# " + line, times: 40}, strings.NewReader(podNamedA)))
	only, err := s.Next()
	if err != nil || only.TooLarge || !strings.HasSuffix(string(only.Data), podNamedA) || len(only.Data) > 4<<20 {
		t.Errorf("got %d bytes, too large %t, %v", len(only.Data), only.TooLarge, err)
	}
}

// repeated reads a text a number of times.
type repeated struct {
	text  string
	times int
	rest  string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.times == 0 {
			return 0, io.EOF
		}
		r.rest = r.text
		r.times--
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// FuzzDocuments checks that no input makes the lenient reader panic, that splitting a
// stream loses no line, and that places are in the file.
func FuzzDocuments(f *testing.F) {
	addSeeds(f)
	for _, text := range []string{podNamedA + "--- # c\n" + podNamedA, "{\"a\": \"}\"}\n{}\n", "a: &a {b: *a}\n", "x: 1\n<<: {x: 2}\n", "\xEF\xBB\xBF---\r\n...\r\n%YAML 1.1\n--- a\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := strings.Count(string(data), "\n") + 1
		s := NewSplitter(strings.NewReader(string(data)))
		last := 0
		for {
			chunk, err := s.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil || chunk.Line <= last || chunk.Line > lines || len(chunk.Data) == 0 {
				t.Fatalf("chunk %+v after line %d of %d, %v", chunk, last, lines, err)
			}
			last = chunk.Line
			for _, d := range ReadDocuments("fuzz.yaml", chunk.Line, chunk.Data) {
				for _, e := range append(d.NotUnderstood, d.Ambiguous...) {
					if e.Line < chunk.Line || e.Detail == "" {
						t.Errorf("error %+v in a chunk from line %d", e, chunk.Line)
					}
				}
				for _, o := range d.Objects {
					checkPlace(t, &d, o.Value)
					for _, p := range o.Pods {
						checkPlace(t, &d, p.Value)
						for _, list := range ContainerLists() {
							for _, c := range p.Value.Get(list).Items() {
								for _, v := range c.Entries() {
									checkPlace(t, &d, v)
								}
							}
						}
					}
				}
			}
		}
	})
}

func checkPlace(t *testing.T, d *Document, v Value) {
	t.Helper()
	p := d.PlaceOf(v)
	if p.Line < d.Line || p.Column < 1 || p.Before < 0 || p.Width < 0 || p.Before+p.Width > len([]rune(p.Excerpt)) {
		t.Errorf("place %+v in a document from line %d", p, d.Line)
	}
}
