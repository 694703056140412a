package servers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

func TestParseCopySpec(t *testing.T) {
	for text, want := range map[string]CopySpec{
		"a.conf:/etc/a.conf": {"a.conf", "/etc/a.conf"},
		"d/a.conf:/etc/":     {"d/a.conf", "/etc/a.conf"},
		"a:/etc/../opt//x:y": {"a", "/opt/x:y"},
		"a.conf":             {},
		":/etc/a.conf":       {},
		"a.conf:etc/a.conf":  {},
		"a.conf:":            {},
	} {
		got, err := ParseCopySpec(text)
		if got != want || (err == nil) != (want != CopySpec{}) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestLoadCopy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	got, err := CopySpec{file, "/etc/a"}.Load()
	if diff := cmp.Diff(got, Copy{Path: "/etc/a", Mode: 0o640, Content: []byte("x")}); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := (CopySpec{file + "-missing", "/etc/a"}).Load(); !os.IsNotExist(err) {
		t.Errorf("a missing file was loaded: %v", err)
	}
}

func TestCheckSaveDir(t *testing.T) {
	for dir, want := range map[string]bool{"/srv/x": true, "/": false, "srv": false, "/srv/": false, "/srv/../etc": false, "": false} {
		if err := CheckSaveDir(dir); (err == nil) != want {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

func TestLoadJob(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	spec := JobSpec{Job: Job{Run: "true", Save: []string{"/srv"}}, Package: []string{"nginx=1.24"}, Copy: []string{file + ":/etc/a"}, Script: file}
	want := Job{
		Run: "true", Save: []string{"/srv"}, Script: []byte("x"), Reboot: change.RebootNever,
		Packages: []change.PackageSpec{{Name: "nginx", Version: "1.24"}}, Copies: []Copy{{Path: "/etc/a", Mode: 0o640, Content: []byte("x")}},
	}
	got, err := spec.Load()
	if diff := cmp.Diff(got, want); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

// Errors have the names of the fields, so that a command can name its flag.
func TestInvalidFields(t *testing.T) {
	for want, load := range map[string]func() error{
		`package "-x": want NAME or NAME=VERSION`:        func() error { _, err := (&JobSpec{Package: []string{"-x"}}).Load(); return err },
		`copy "a": want FILE:PATH with an absolute PATH`: func() error { _, err := (&JobSpec{Copy: []string{"a"}}).Load(); return err },
		`reboot "no": want never, if-needed, always`:     func() error { _, err := (&JobSpec{Job: Job{Reboot: "no"}}).Load(); return err },
		`save "/": want an absolute path of a directory`: func() error { _, err := (&JobSpec{Job: Job{Save: []string{"/"}}}).Load(); return err },
		`on-failure "no": want keep or undo`:             func() error { _, err := UpdateSpec{OnFailure: "no"}.Parse(); return err },
	} {
		err := load()
		var field *FieldError
		if !errors.As(err, &field) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
