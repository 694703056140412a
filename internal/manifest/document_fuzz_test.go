package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// pinnedImage is the image that FuzzDocumentEdit sets.
const pinnedImage = "registry.example/fuzz:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// maxFuzzedContainers bounds the containers of a document that are edited.
const maxFuzzedContainers = 8

// FuzzDocumentEdit edits the documents of a file. Only the edited field may change when
// kubectl's parser, which is another one, reads the result, and only the bytes of the
// replacements may differ. A second edit must change nothing.
func FuzzDocumentEdit(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkDocumentEdit(t, data) })
}

// checkDocumentEdit edits all documents that can be edited, and returns their number.
func checkDocumentEdit(t *testing.T, data []byte) int {
	t.Helper()
	documents := chunksOf(t, data)
	var edits []Edit
	var want []any
	for _, c := range documents {
		meaning, _ := c.meaning()
		if edit := c.seal(t, meaning); !edit.IsEmpty() {
			edits = append(edits, edit)
		}
		want = append(want, meaning)
	}
	edited, err := ApplyEdits("x", data, edits)
	if err != nil {
		t.Fatalf("%v in\n%q", err, data)
	}
	if len(edits) == 0 && string(edited) != string(data) {
		t.Fatalf("without an edit, got\n%q\nfrom\n%q", edited, data)
	}
	after := chunksOf(t, edited)
	if len(after) != len(documents) {
		t.Fatalf("%d documents from %d:\n%s\nfrom\n%s", len(after), len(documents), edited, data)
	}
	for i, c := range after {
		got, known := c.meaning()
		if want[i] != nil && !known {
			t.Fatalf("kubectl cannot read\n%s\nany more, from\n%s", c.Data, documents[i].Data)
		}
		if d := cmp.Diff(got, want[i]); want[i] != nil && d != "" {
			t.Fatalf("(-got +want):\n%s\nof\n%s\nfrom\n%s", d, c.Data, documents[i].Data)
		}
		if again := c.seal(t, got); !again.IsEmpty() {
			t.Fatalf("edited again: %+v\n%s\nfrom\n%s", again.splices, c.Data, documents[i].Data)
		}
	}
	return len(edits)
}

// TestGeneratedDocumentEdits is FuzzDocumentEdit for documents as people write them, all of
// which can be edited.
func TestGeneratedDocumentEdits(t *testing.T) {
	for seed := range uint64(200) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		data, pods := g.file()
		if got := checkDocumentEdit(t, []byte(data)); got != pods {
			t.Fatalf("seed %d: %d of %d documents were edited:\n%s", seed, got, pods, data)
		}
	}
}

// A generator writes files with pods in all usual styles.
type generator struct{ *rand.Rand }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

// file returns a file, and how many of its documents have a pod.
func (g generator) file() (string, int) {
	var b strings.Builder
	b.WriteString(g.one("", "", "\uFEFF", "# a file\n\n", "---\n", "%YAML 1.1\n---\n"))
	pods := 1 + g.IntN(3)
	for i := range pods {
		if i > 0 {
			b.WriteString(g.one("---\n", "--- # next\n", "...\n---\n", "---\nkind: ConfigMap\ndata: {a: \"b\"} # none\n---\n"))
		}
		b.WriteString(g.pod())
	}
	text := b.String()
	if g.IntN(4) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	if g.IntN(3) == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text, pods
}

func (g generator) pod() string {
	step := g.one("", "  ", "    ")
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Pod" + g.comment() + "metadata: {name: p}\nspec:" + g.comment())
	for _, list := range containerLists[g.IntN(2) : 2+g.IntN(2)] {
		b.WriteString("  " + list + ":" + g.comment())
		for range 1 + g.IntN(3) {
			b.WriteString(g.container("  " + step))
		}
	}
	return b.String() + g.one("", "  volumes: []\n", "  # the end\n", "status: {}\n", "\n\n")
}

func (g generator) comment() string { return g.one("\n", "\n", " # why: 'x'\n", "\t# tab\n") }

// container returns a container as an item of a list, in flow style or as a block.
func (g generator) container(indent string) string {
	image := g.one("nginx", "'nginx:1'", "\"nginx:1\"", "registry.example:5000/nginx:1")
	security := g.one("", "{}", "{runAsNonRoot: true}", "{ readOnlyRootFilesystem: false, }", "{readOnlyRootFilesystem: true}", "null")
	if g.IntN(4) == 0 {
		fields := []string{"name: a", "image: " + image, `args: ["#", ']']`}
		if security != "" {
			fields = append(fields, "securityContext: "+security)
		}
		g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		return indent + "- {" + strings.Join(fields, g.one(", ", ",", ",\n"+indent+"   ")) + g.one("", ",", " ") + "}" + g.comment()
	}
	dash := g.one("- ", "-   ")
	below := "\n" + indent + strings.Repeat(" ", len(dash))
	fields := []string{
		"name: a", "image: " + image,
		"args:" + below + "- |" + below + "  # no comment" + below + "    indented: [" + below + g.one("- b", "- >-"+below+"  folded", "# end of args"),
	}
	switch {
	case security == "{runAsNonRoot: true}" && g.IntN(2) == 0:
		fields = append(fields, "securityContext: # block"+below+"  # first"+below+"  runAsNonRoot: true")
	case security != "":
		fields = append(fields, "securityContext: "+security)
	}
	g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return indent + dash + strings.Join(fields, g.one(below, below+"# between"+below)) + "\n"
}

// A chunkDocument is a chunk with its document.
type chunkDocument struct {
	Chunk
	*Document // nil unless the chunk has exactly one
}

func chunksOf(t *testing.T, data []byte) []chunkDocument {
	t.Helper()
	var all []chunkDocument
	s := NewSplitter(strings.NewReader(string(data)))
	for {
		chunk, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		c := chunkDocument{Chunk: chunk}
		if list := ReadDocuments("x", chunk.Line, chunk.Data); len(list) == 1 {
			c.Document = &list[0]
			c.Document.Offset, c.Document.Exact = chunk.Offset, chunk.Exact
		}
		all = append(all, c)
	}
}

// meaning returns what kubectl reads. It is not known of what kubectl or Adamant refuses.
func (c chunkDocument) meaning() (any, bool) {
	if c.Document == nil || c.Document.file == nil {
		return nil, false
	}
	if _, err := yaml.YAMLToJSONStrict(c.Data); err == nil && len(c.Ambiguous) > 0 {
		return nil, false // of keys that are equal as text, such as 0 and .0, kubectl takes any
	}
	v, err := kubectlValue(c.Data)
	return v, err == nil
}

// kubectlValue decodes JSON, or YAML as kubectl does.
func kubectlValue(data []byte) (v any, err error) {
	if err := json.Unmarshal(data, &v); err == nil {
		return v, nil
	}
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(text, &v)
	return v, err
}

// seal returns the edit that makes the containers read-only and sets their image, and
// changes meaning to what the document must mean then. The edit is empty if it is refused.
func (c chunkDocument) seal(t *testing.T, meaning any) Edit {
	t.Helper()
	if c.Document == nil {
		return Edit{}
	}
	var ops []Op
	var fields []path
	for i, o := range c.Objects {
		at, found, _ := pathTo(c.file.roots[c.index], o.Value.n)
		for _, p := range o.Pods {
			for _, list := range containerLists {
				for k := range p.Value.Get(list).Items() {
					if !found || len(fields) == maxFuzzedContainers {
						break
					}
					in, err := parsePath(p.Path)
					if err != nil {
						t.Fatalf("path %s: %v", p.Path, err)
					}
					container := in.with(key(list), item(k))
					ops = append(ops, SetField(i, container.with(key("securityContext"), key("readOnlyRootFilesystem")).String(), true),
						SetField(i, container.with(key("image")).String(), pinnedImage))
					fields = append(fields, at.with(container...))
				}
			}
		}
	}
	edit, err := c.Edit(ops...)
	if err != nil {
		t.Log(err) // it is refused, or its verification failed
		return Edit{}
	}
	if meaning != nil {
		checkReplaced(t, c.Data, edit, oldValues(meaning, fields))
	}
	for _, at := range fields {
		if container, ok := follow(meaning, at).(map[string]any); ok {
			security, _ := container["securityContext"].(map[string]any)
			if security == nil {
				security = map[string]any{}
			}
			security["readOnlyRootFilesystem"] = true
			container["securityContext"], container["image"] = security, pinnedImage
		}
	}
	return edit
}

// follow returns the value at a path, or nil.
func follow(v any, at path) any {
	for _, s := range at {
		switch in := v.(type) {
		case map[string]any:
			v = in[s.key]
		case []any:
			if s.index < 0 || s.index >= len(in) {
				return nil
			}
			v = in[s.index]
		default:
			return nil
		}
	}
	return v
}

// oldValues returns the values that the edit of containers may replace.
func oldValues(meaning any, containers []path) []any {
	all := []any{nil, map[string]any{}, []any{}}
	for _, at := range containers {
		for _, field := range []path{{key("image")}, {key("securityContext"), key("readOnlyRootFilesystem")}} {
			all = append(all, follow(meaning, at.with(field...)))
		}
	}
	return all
}

// checkReplaced checks that an edit replaces only these values, and so no comment.
func checkReplaced(t *testing.T, data []byte, edit Edit, values []any) {
	t.Helper()
	for _, one := range edit.splices {
		replaced := bytes.TrimSpace(data[one.start:one.end])
		value, err := kubectlValue(replaced)
		isOld := slices.ContainsFunc(values, func(old any) bool { return cmp.Equal(value, old) })
		if err != nil || !isOld || bytes.HasPrefix(replaced, []byte("#")) {
			t.Fatalf("replaces %q by %q in\n%s", replaced, one.text, data)
		}
	}
}
