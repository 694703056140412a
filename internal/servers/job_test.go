package servers

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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
