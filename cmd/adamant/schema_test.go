package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/event"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

var update = flag.Bool("update", false, "write the schemas of docs/reference/schemas")

const schemaDir = "../../docs/reference/schemas"

// documents are the Go types of all kinds of documents.
var documents = map[string]any{
	document.ApplyResult:        local.OutcomeDocument{},
	document.ClaimList:          local.ClaimList{},
	document.CheckBaseline:      policy.BaselineDocument{},
	document.CheckReport:        report.CheckReport{},
	document.ClusterApplyResult: report.ClusterApplyResult{},
	document.ClusterDiff:        report.ClusterDiff{},
	document.ClusterHistory:     report.ClusterHistory{},
	document.ClusterStatus:      report.ClusterStatus{},
	document.DriftReport:        report.DriftReport{},
	document.DriftReportList:    report.DriftReportList{},
	document.Event:              event.Event{},
	document.EventList:          event.List{},
	document.History:            local.HistoryDocument{},
	document.ImageList:          report.ImageList{},
	document.LessonList:         learn.LessonList{},
	document.Machine:            report.Machine{},
	document.PodList:            report.PodList{},
	document.Profile:            profile.Profile{},
	document.Proof:              learn.Proof{},
	document.ProofList:          learn.ProofList{},
	document.RuleList:           report.RuleList{},
	document.SealedManifest:     learn.SealedManifest{},
	document.CopyUpImage:        learn.CopyUpImage{},
	document.SealedManifestList: learn.SealedFiles{},
	document.ServeConfig:        api.Config{},
	document.ServerCapture:      report.ServerCapture{},
	document.ServerComparison:   report.ServerComparison{},
	document.ServerHistory:      report.ServerHistory{},
	document.ServerList:         report.ServerList{},
	document.ServerPlan:         report.ServerPlan{},
	document.ServerReplacement:  report.ServerReplacement{},
	document.ServerSnapshot:     report.ServerSnapshot{},
	document.ServerUpdate:       report.ServerUpdate{},
	document.ServerWatch:        report.ServerWatch{},
	document.Version:            report.Version{},
	document.Workload:           local.Document{},
	document.WorkloadList:       local.WorkloadList{},
}

// TestSchemas checks that each kind of document has the schema that its Go type
// implies, and a line in docs/reference/formats.md.
func TestSchemas(t *testing.T) {
	formats, err := os.ReadFile("../../docs/reference/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	g := generator{docs: map[string]map[string]string{}}
	for kind, example := range documents {
		got, err := g.schema(kind, reflect.TypeOf(example))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		name := filepath.Join(schemaDir, kind+".json")
		if *update {
			if err := os.WriteFile(name, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the schema of %T (%v): go test ./cmd/adamant -run TestSchemas -update writes it", name, example, err)
		}
		if !strings.Contains(string(formats), "(schemas/"+kind+".json)") {
			t.Errorf("docs/reference/formats.md has no link to schemas/%s.json", kind)
		}
	}
	files, err := filepath.Glob(filepath.Join(schemaDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if documents[strings.TrimSuffix(filepath.Base(f), ".json")] == nil {
			t.Errorf("%s is the schema of no document", f)
		}
	}
}

// TestSchemasRefuse checks that the schemas refuse other documents.
func TestSchemasRefuse(t *testing.T) {
	for name, text := range map[string]string{
		"no document":      `{}`,
		"unknown kind":     `{"apiVersion": "adamant.sh/v1", "kind": "Nothing"}`,
		"other version":    `{"apiVersion": "adamant.sh/v2", "kind": "ImageList", "images": []}`,
		"missing field":    `{"apiVersion": "adamant.sh/v1", "kind": "ImageList"}`,
		"additional field": `{"apiVersion": "adamant.sh/v1", "kind": "ImageList", "images": [], "more": 1}`,
		"wrong type":       `{"apiVersion": "adamant.sh/v1", "kind": "ImageList", "images": {}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := checkDocuments(text); err == nil {
				t.Errorf("%s is valid", text)
			}
		})
	}
	if err := checkDocuments(`{"apiVersion": "adamant.sh/v1", "kind": "ImageList", "images": []}`); err != nil {
		t.Error(err)
	}
}

// checkDocuments validates the documents of a command's standard output. It
// also refuses fields that a schema does not have. Readers accept them, because a
// later release may add some, but this one must not print them.
func checkDocuments(stdout string) error {
	decoder := json.NewDecoder(strings.NewReader(stdout))
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var header document.Header
		if err := json.Unmarshal(raw, &header); err != nil {
			return err
		}
		s, err := strictSchema(header.Kind)
		if err != nil {
			return fmt.Errorf("schema of kind %q: %w", header.Kind, err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		if err := s.Validate(v); err != nil {
			return fmt.Errorf("%w\n%s", err, raw)
		}
	}
}

// checkOutput validates the standard output of a command line of adamant that
// asks for JSON. A command that failed may have printed nothing.
func checkOutput(args []string, stdout string) error {
	if filepath.Base(args[0]) != "adamant" || !slices.Contains(args, "json") {
		return nil
	}
	if err := checkDocuments(stdout); err != nil {
		return fmt.Errorf("output of %q: %w", args, err)
	}
	return nil
}

var compiled sync.Map // kind -> *jsonschema.Schema

func strictSchema(kind string) (*jsonschema.Schema, error) {
	if s, ok := compiled.Load(kind); ok {
		return s.(*jsonschema.Schema), nil
	}
	f, err := os.Open(filepath.Join(schemaDir, filepath.Base(kind)+".json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, err
	}
	forbidOthers(v)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(kind, v); err != nil {
		return nil, err
	}
	s, err := c.Compile(kind)
	if err == nil {
		compiled.Store(kind, s)
	}
	return s, err
}

// forbidOthers makes each object that has properties refuse others.
func forbidOthers(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["type"] != nil {
			v["additionalProperties"] = false
		}
		for _, below := range v {
			forbidOthers(below)
		}
	case []any:
		for _, below := range v {
			forbidOthers(below)
		}
	}
}

// A generator generates JSON Schemas from Go types, with descriptions from the
// comments in their sources.
type generator struct {
	defs  map[string]*schema
	types map[string]reflect.Type      // of the defs
	docs  map[string]map[string]string // by directory: "Type" and "Type.Field"
}

// A schema is a JSON Schema with the keywords that are used here, in the order
// in which they are written.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	ID          string             `json:"$id,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Const       string             `json:"const,omitempty"`
	Type        any                `json:"type,omitempty"`
	Format      string             `json:"format,omitempty"`
	Encoding    string             `json:"contentEncoding,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Additional  *schema            `json:"additionalProperties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Defs        map[string]*schema `json:"$defs,omitempty"`
}

func (g *generator) schema(kind string, t reflect.Type) ([]byte, error) {
	g.defs, g.types = map[string]*schema{}, map[string]reflect.Type{}
	s := &schema{
		Schema: "https://json-schema.org/draft/2020-12/schema", ID: "https://adamant.sh/schemas/v1/" + kind + ".json",
		Title: kind, Type: "object", Properties: map[string]*schema{},
	}
	if err := g.fields(s, t); err != nil {
		return nil, err
	}
	s.Properties["apiVersion"] = &schema{Const: document.APIVersion}
	s.Properties["kind"] = &schema{Const: kind}
	if len(g.defs) > 0 {
		s.Defs = g.defs
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return out.Bytes(), err
}

// fields adds the fields of a struct to the properties of s. Fields of embedded
// structs are added like its own.
func (g *generator) fields(s *schema, t reflect.Type) error {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			if err := g.fields(s, f.Type); err != nil {
				return err
			}
			continue
		case !f.IsExported():
			continue
		case name == "":
			return fmt.Errorf("%v.%s has no name in JSON", t, f.Name)
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		p, err := g.of(f.Type, !optional && !isList(t))
		if err != nil {
			return fmt.Errorf("%v.%s: %w", t, f.Name, err)
		}
		doc, err := g.doc(t, f.Name)
		if err != nil {
			return err
		}
		p.Description = doc
		s.Properties[name] = p
		if !optional {
			s.Required = append(s.Required, name)
		}
	}
	return nil
}

// isList reports whether t is a document.List, whose items are never null.
func isList(t reflect.Type) bool {
	return t.PkgPath() == reflect.TypeFor[document.Header]().PkgPath() && strings.HasPrefix(t.Name(), "List[")
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// of returns the schema of a type. A nil slice, map or pointer is null where the
// field is always written.
func (g *generator) of(t reflect.Type, nullable bool) (*schema, error) {
	kind := func(name string) any {
		if nullable {
			return []string{name, "null"}
		}
		return name
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &schema{Type: "string", Format: "date-time"}, nil
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return &schema{}, nil
	case strings.HasPrefix(t.PkgPath(), "k8s.io/"):
		return &schema{}, nil // as Kubernetes defines it
	case t.Implements(textMarshaler):
		return &schema{Type: "string"}, nil
	case t.Implements(jsonMarshaler), t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(jsonMarshaler):
		return nil, fmt.Errorf("%v has an encoding of its own", t)
	}
	switch t.Kind() {
	case reflect.String:
		return &schema{Type: "string"}, nil
	case reflect.Bool:
		return &schema{Type: "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &schema{Type: "integer"}, nil
	case reflect.Float32, reflect.Float64:
		return &schema{Type: "number"}, nil
	case reflect.Pointer:
		return g.of(t.Elem(), nullable)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &schema{Type: kind("string"), Encoding: "base64"}, nil
		}
		items, err := g.of(t.Elem(), false)
		return &schema{Type: kind("array"), Items: items}, err
	case reflect.Map:
		values, err := g.of(t.Elem(), true)
		return &schema{Type: kind("object"), Additional: values}, err
	case reflect.Struct:
		return g.ref(t)
	}
	return nil, fmt.Errorf("%v cannot be in a document", t)
}

// ref returns a reference to the definition of a struct, which it adds.
func (g *generator) ref(t reflect.Type) (*schema, error) {
	name := t.Name()
	if name == "" {
		return nil, fmt.Errorf("%v has no name", t)
	}
	if old, taken := g.types[name]; taken && old != t {
		name = t.String() // profile.Failure beside learn's
	}
	ref := &schema{Ref: "#/$defs/" + name}
	if g.types[name] == t {
		return ref, nil
	}
	doc, err := g.doc(t, "")
	if err != nil {
		return nil, err
	}
	s := &schema{Description: doc, Type: "object", Properties: map[string]*schema{}}
	g.defs[name], g.types[name] = s, t // before its fields, which may refer to it
	return ref, g.fields(s, t)
}

// doc returns the comment of a type, or of one of its fields.
func (g *generator) doc(t reflect.Type, field string) (string, error) {
	dir, ours := strings.CutPrefix(t.PkgPath(), "github.com/adamant-sh/adamant/")
	if !ours {
		return "", nil
	}
	if g.docs[dir] == nil {
		docs, err := comments(filepath.Join("../..", dir))
		if err != nil {
			return "", err
		}
		g.docs[dir] = docs
	}
	name, _, _ := strings.Cut(t.Name(), "[")
	if field != "" {
		name += "." + field
	}
	return g.docs[dir][name], nil
}

// comments returns the comments of the types of a package and of their fields.
func comments(dir string) (map[string]string, error) {
	docs := map[string]string{}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if errors.Is(err, fs.ErrNotExist) || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			for _, spec := range decl.Specs {
				addComments(docs, decl, spec.(*ast.TypeSpec))
			}
		}
	}
	return docs, nil
}

func addComments(docs map[string]string, decl *ast.GenDecl, spec *ast.TypeSpec) {
	line := func(groups ...*ast.CommentGroup) string {
		for _, g := range groups {
			if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
				return text
			}
		}
		return ""
	}
	maps.Copy(docs, map[string]string{spec.Name.Name: line(spec.Doc, decl.Doc)})
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range fields.Fields.List {
		for _, name := range f.Names {
			docs[spec.Name.Name+"."+name.Name] = line(f.Comment, f.Doc)
		}
	}
}
