package report

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

type sample struct {
	Zone  string            `json:"zone"`
	Able  bool              `json:"able"`
	Text  string            `json:"text"`
	Big   int64             `json:"big"`
	None  []string          `json:"none"`
	Nil   *int              `json:"nil"`
	Names []string          `json:"names"`
	Marks map[string]string `json:"marks"`
}

func (sample) WriteText(io.Writer, bool) error { return nil }

// TestYAML checks that the YAML document is that of JSON: equal for a YAML 1.1 reader,
// with the fields in their order, and without characters that act on a terminal.
func TestYAML(t *testing.T) {
	s := sample{
		Zone: "no", Text: "two\nlines: # x\n", Big: 1 << 53, None: []string{},
		Names: []string{"", "1e3", "0x1F", "~", "- x", "a: b", "12:30:45", "\x1b[31m", "größe", "\u202eevil", "\U000e0041", "\U0001F600", "tab\there", " blank ", "a\r\nb", "\u0085\u2028"},
		Marks: map[string]string{"on": "off", "\u202e": "\u009b"},
	}
	var printed, encoded strings.Builder
	if err := (YAMLPrinter{&printed}).Print(s); err != nil {
		t.Fatal(err)
	}
	if err := (JSONPrinter{&encoded}).Print(s); err != nil {
		t.Fatal(err)
	}
	got, err := yaml.YAMLToJSONStrict([]byte(printed.String()))
	if err != nil {
		t.Fatalf("%v:\n%s", err, printed.String())
	}
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(encoded.String()), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("-YAML +JSON\n%s\n%s", diff, printed.String())
	}
	if !strings.HasPrefix(printed.String(), "---\nzone: \"no\"\nable: false\ntext: |") {
		t.Errorf("another order or style:\n%s", printed.String())
	}
	if i := strings.IndexAny(printed.String(), "\x1b\u202e\u009b\u0085\u2028\U000e0041"); i >= 0 {
		t.Errorf("a control character at %d of\n%q", i, printed.String())
	}
}

type names []Name

func (names) WriteText(io.Writer, bool) error { return nil }
func (n names) Names() []Name                 { return n }

func TestNames(t *testing.T) {
	web, other := Name{"shop", "Deployment", "web"}, Name{"default", "Pod", "x"}
	for name, c := range map[string]struct {
		in   names
		want string
	}{
		"none":               {nil, ""},
		"one namespace":      {names{web, {"shop", "Service", "web"}}, "deployment/web\nservice/web\n"},
		"several namespaces": {names{web, other}, "shop/deployment/web\ndefault/pod/x\n"},
		"images":             {names{{Name: "nginx:1"}, {Name: "sha256:abc"}}, "nginx:1\nsha256:abc\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := (NamePrinter{&b}).Print(c.in); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b.String(), c.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
	if err := (NamePrinter{io.Discard}).Print(sample{}); err == nil {
		t.Error("a result without names was printed")
	}
}
