package manifest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func addSeeds(f *testing.F) {
	f.Add([]byte(nginxPod))
	files, _ := filepath.Glob("testdata/seal/*.in.*")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		"a: &a [x]\nb: *a\n", "<<: {a: 1}\nb: yes\n", "{{ .Values.x }}", "? a\n: b\n", "a: 'b''c\n\n d'\n",
		"- |+\n  x\n\n- >2\n    y\n", "%YAML 1.1\n--- !!map\na: ~\n...\n", "\xEF\xBB\xBFa: 0o17\n", "{\"a\": [1e3, null, \"\\ud83d\\ude00\"]}",
		"a: b c\n  d # e\n", "&x a: !!str 1\n*x : 2\n", "[a: b, {c}, [d,],]\n",
	} {
		f.Add([]byte(text))
	}
}

// FuzzParse checks that no input makes the parser panic, and that all methods
// work on an accepted file.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz.yaml", data)
		if err != nil {
			var errs Errors
			if !errors.As(err, &errs) || len(errs) == 0 || err.Error() == "" {
				t.Fatalf("not a list of errors: %v", err)
			}
			return
		}
		for _, w := range file.Workloads() {
			Unsupported(w)
			Notes(w)
			if w.Line("spec.containers[0].image") < 1 {
				t.Error("no line")
			}
		}
		file.ConfigMaps()
		file.Secrets()
		file.Others()
	})
}

// FuzzMeaning checks that a document has the same meaning here as in kubectl.
func FuzzMeaning(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file := File{Name: "fuzz.yaml", data: data}
		if !strings.HasPrefix(string(data), "\xEF\xBB\xBF") && file.parse() != nil || len(file.roots) != 1 || hasMarker(data) {
			return
		}
		want, err := yaml.YAMLToJSONStrict(data)
		if err != nil {
			return
		}
		value, err := file.roots[0].value()
		if err != nil {
			return // an unknown tag, which kubectl takes for text
		}
		got, err := json.Marshal(value)
		if err != nil {
			return // NaN
		}
		var a, b any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil {
			t.Fatalf("not JSON: %s, %s", got, want)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%q (-got +want):\n%s", data, diff)
		}
	})
}

// FuzzLenientMeaning checks that a document that is read leniently has the same meaning as
// in kubectl, which takes the last one of duplicate keys.
func FuzzLenientMeaning(f *testing.F) {
	addSeeds(f)
	for _, text := range []string{"x: 1\n<<: {x: 2}\n", "x: 1\nx: 2\n", "a: &a {x: 1}\nb: {<<: *a, <<: {x: 3}, x: 4}\nc: {x: 5, <<: [*a, {y: 1}]}\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := File{Name: "fuzz.yaml", data: data, ambiguous: &Errors{}}
		if strings.Contains(string(data), "\xEF\xBB\xBF") || hasMarker(data) || file.parse() != nil || len(file.roots) != 1 {
			return
		}
		want, err := yaml.YAMLToJSON(data)
		if err != nil {
			return
		}
		value, err := file.roots[0].value()
		if err != nil {
			return // an unknown tag, which kubectl takes for text
		}
		got, err := json.Marshal(value)
		if err != nil {
			return // NaN
		}
		var a, b any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil {
			t.Fatalf("not JSON: %s, %s", got, want)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%q (-got +want):\n%s", data, diff)
		}
	})
}

func hasMarker(data []byte) bool {
	for line := range strings.SplitSeq(string(data), "\n") {
		if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...") {
			return true
		}
	}
	return false
}

// FuzzEdit checks that an edit has its intended effect and no other, by the
// decoded workload and by the lines of the file.
func FuzzEdit(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz.yaml", data)
		if err != nil || len(file.Workloads()) == 0 {
			return
		}
		w := file.Workloads()[0]
		added := corev1.Volume{Name: "fuzz-added"}
		added.EmptyDir = &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}
		if len(w.Template.Spec.Containers) == 0 {
			t.Fatal("accepted a pod without containers")
		}
		edited, err := file.Apply(
			w.Set("spec.containers[0].securityContext.readOnlyRootFilesystem", true),
			w.Append("spec.volumes", Fields{{"name", "fuzz-added"}, {"emptyDir", Fields{{"medium", "Memory"}}}}),
			w.Append("spec.containers[0].volumeMounts", Fields{{"name", "fuzz-added"}, {"mountPath", "/fuzz: added"}}),
			w.Prepend("spec.initContainers", Fields{{"name", "fuzz-init"}, {"image", "i"}, {"command", []string{"a", "#b"}}}),
			w.AnnotatePod("adamant.sh/fuzz", "yes"),
		)
		if err != nil {
			var refused Errors
			if !errors.As(err, &refused) {
				if os.Getenv("STRICT") != "" {
					t.Fatalf("%v\n%s", err, data)
				}
			}
			return
		}
		after, err := Parse("fuzz.yaml", edited)
		if err != nil {
			t.Fatalf("%v:\n%s", err, edited)
		}
		spec := w.Template.Spec.DeepCopy()
		c := &spec.Containers[0]
		if c.SecurityContext == nil {
			c.SecurityContext = &corev1.SecurityContext{}
		}
		yes := true
		c.SecurityContext.ReadOnlyRootFilesystem = &yes
		got := after.Workloads()[0].Template.Spec
		if g, ok := popInit(&got); !ok || g.Name != "fuzz-init" {
			t.Errorf("no init container:\n%s", edited)
		}
		spec.Volumes = append(spec.Volumes, added)
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "fuzz-added", MountPath: "/fuzz: added"})
		defaultPod(spec)
		if diff := cmp.Diff(got, *spec); diff != "" {
			t.Errorf("(-got +want):\n%s\nof\n%s", diff, edited)
		}
		if diff := cmp.Diff(len(after.roots), len(file.roots)); diff != "" {
			t.Error(diff)
		}
		checkLines(t, string(data), string(edited))
	})
}

func popInit(s *corev1.PodSpec) (corev1.Container, bool) {
	if len(s.InitContainers) == 0 {
		return corev1.Container{}, false
	}
	first := s.InitContainers[0]
	s.InitContainers = s.InitContainers[1:]
	if len(s.InitContainers) == 0 {
		s.InitContainers = nil
	}
	return first, true
}

// checkLines checks that all except a few lines of before are in after, in
// their order.
func checkLines(t *testing.T, before, after string) {
	t.Helper()
	rest := lines(strings.TrimSuffix(after, "\n"))
	lost := 0
	for _, line := range lines(strings.TrimSuffix(before, "\n")) {
		found := false
		for i := range rest {
			if strings.TrimRight(rest[i], "\r\n") == strings.TrimRight(line, "\r\n") {
				rest, found = rest[i+1:], true
				break
			}
		}
		if !found {
			lost++
		}
	}
	if lost > 9 {
		t.Errorf("%d lines are changed:\n%s\nfrom\n%s", lost, after, before)
	}
}
