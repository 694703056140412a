package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
)

func none(*manifest.Document) struct{} { return struct{}{} }

// each returns a line for each object and each problem, in order.
func each(t *testing.T, stdin io.Reader, paths ...string) ([]string, Count) {
	t.Helper()
	var got []string
	count, err := Each(t.Context(), Input{Paths: paths, Stdin: stdin}, func(d *manifest.Document) string {
		line := fmt.Sprintf("%s:%d", d.File, d.Line)
		for _, o := range d.Objects {
			line += " " + o.Name
		}
		return line
	}, func(d *manifest.Document, line string) error {
		got = append(got, line)
		for _, e := range d.NotUnderstood {
			got = append(got, e.Error())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, count
}

func TestEach(t *testing.T) {
	t.Chdir(t.TempDir())
	object := func(name string) string { return "kind: A\nmetadata: {name: " + name + "}\n" }
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("d/b.yml", object("b")+"---\n"+object("b2"))
	write("d/a/a.YAML", object("a"))
	write("d/c.json", `{"kind": "A", "metadata": {"name": "c"}}`)
	write("d/notes.txt", "{")
	write("d/.git/x.yaml", "{")
	write("d/dir.yaml/e.yaml", object("e"))
	write("other/o.yaml", object("o"))
	write("empty/x.txt", "")
	write("plain", object("plain"))
	for link, target := range map[string]string{"d/link.yaml": "../other/o.yaml", "d/z": "../other", "d/gone.yaml": "gone", "d/gone.txt": "gone", "l": "other"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	got, count := each(t, strings.NewReader(object("in")), "plain", "-", "d", "d/b.yml", "./d/", "l", "empty")
	want := []string{
		"plain:1 plain",
		"standard input:1 in",
		"d/a/a.YAML:1 a",
		"d/b.yml:1 b",
		"d/b.yml:3 b2",
		"d/c.json:1 c",
		"d/dir.yaml/e.yaml:1 e",
		"d/gone.yaml:0", "d/gone.yaml: no such file or directory",
		"d/link.yaml:1 o",
		"d/z:0", "d/z: a link to a folder, which is not followed: name it on the command line",
		"l/o.yaml:1 o",
		"empty:0", "empty: no manifest in it: no file ends in .yaml, .yml or .json",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	if count != (Count{Files: 10, Documents: 12}) {
		t.Errorf("got %+v", count)
	}
	_, err := Each(t.Context(), Input{Paths: []string{"d", "gone"}}, none, func(*manifest.Document, struct{}) error {
		t.Error("read although a path does not exist")
		return nil
	})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A file on the command line and stdin must have a document; a folder may have files
// without one, if there is any.
func TestEachEmpty(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"empty.yaml": "", "comments": "# a\n---\n# b\n", "d/empty.yaml": "", "d/named.yaml": "---\n", "d/a.yaml": "kind: A\n", "none/a.yaml": "", "none/b.yaml": "---\n"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const detail = ": no document in it: it is empty or has only comments"
	empty := func(name string) []string { return []string{name + ":0", name + detail} }
	for name, tt := range map[string]struct {
		stdin string
		paths []string
		want  []string
	}{
		"stdin":                     {"", []string{"-"}, empty("standard input")},
		"stdin with blanks":         {" \n\n---\n", []string{"-"}, empty("standard input")},
		"a file":                    {"", []string{"empty.yaml"}, empty("empty.yaml")},
		"files":                     {"kind: A\n", []string{"comments", "-", "empty.yaml"}, append(append(empty("comments"), "standard input:1 "), empty("empty.yaml")...)},
		"a folder":                  {"", []string{"d"}, []string{"d/a.yaml:1 "}},
		"a file of a folder":        {"", []string{"d", "./d/named.yaml"}, append([]string{"d/a.yaml:1 "}, empty("d/named.yaml")...)},
		"a folder of nothing else":  {"", []string{"none"}, empty("none")},
		"a folder beside documents": {"kind: A\n", []string{"none", "-"}, []string{"standard input:1 "}},
	} {
		got, count := each(t, strings.NewReader(tt.stdin), tt.paths...)
		if d := cmp.Diff(got, tt.want); d != "" {
			t.Errorf("%s (-got +want):\n%s", name, d)
		}
		if count.Documents == 0 {
			t.Errorf("%s: no document", name)
		}
	}
}

// A stream that fails is not understood from there on.
func TestEachReadError(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("kind: A\n---\nkind: B\n"), failing{})
	got, _ := each(t, broken, "-")
	if d := cmp.Diff(got, []string{"standard input:1 ", "standard input:2 ", "standard input:0", "standard input: the disk is gone"}); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// Each ends when its context does, or when the caller has enough, however long the input
// is, and leaves no goroutine.
func TestEachEnds(t *testing.T) {
	enough := errors.New("enough")
	_, err := Each(t.Context(), Input{Paths: []string{"-"}, Stdin: endless{}}, none, func(*manifest.Document, struct{}) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Each(ctx, Input{Paths: []string{"-"}, Stdin: endless{}}, none, func(*manifest.Document, struct{}) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Each does not wait for a terminal at which nothing is typed.
func TestEachLeavesStdin(t *testing.T) {
	blocked, typed := io.Pipe()
	defer typed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		io.WriteString(typed, "kind: A\n---\n")
		cancel()
	}()
	if _, err := Each(ctx, Input{Paths: []string{"-"}, Stdin: blocked}, none, func(*manifest.Document, struct{}) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// endless is a stream of documents without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, "a: b\n---\n"), nil }
