package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Files of parents are found up to the repository, or up to the folder on the command line.
func TestInherited(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{".", "repo", "repo/a", "repo/a/b", "repo/vendor", "repo/vendor/c", "plain", "plain/a", "plain/a/b"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ConfigName), []byte(dir), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"repo/.git", "repo/vendor/.git"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		paths  []string
		folder string
		want   []string
	}{
		{[]string{"repo/a/b"}, "repo/a/b", []string{"repo/a/b", "repo/a", "repo"}},
		{[]string{"repo/vendor"}, "repo/vendor/c", []string{"repo/vendor/c", "repo/vendor"}},
		{[]string{"plain/a"}, "plain/a/b", []string{"plain/a/b", "plain/a"}},
		{[]string{"plain"}, "plain/a/b", []string{"plain/a/b", "plain/a", "plain"}},
		{[]string{"plain/a/b/x.yaml"}, "plain/a/b", []string{"plain/a/b"}},
		{[]string{"-"}, ".", []string{"."}},
	} {
		in := Inherited[string]{Name: ConfigName, Limit: 100, Paths: tt.paths, Parse: func(_ string, data []byte) (string, error) { return string(data), nil }}
		for range 2 {
			got, err := in.Of(tt.folder)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%s of %v: got %v, %v, want %v", tt.folder, tt.paths, got, err, tt.want)
			}
		}
		if len(in.All()) != len(tt.want) {
			t.Errorf("%s of %v: %v were read", tt.folder, tt.paths, in.All())
		}
	}
	in := Inherited[string]{Paths: []string{"repo", "plain/x.yaml", "-"}}
	for folder, want := range map[string]bool{"repo": true, "repo/a": true, "plain": false, ".": false} {
		full, err := filepath.Abs(folder)
		if err != nil {
			t.Fatal(err)
		}
		if in.Covers(full) != want {
			t.Errorf("covers %s: %t", folder, !want)
		}
	}
}

// What is no file of a few bytes is an error, and nothing is waited for.
func TestInheritedRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(string) error
		want string
	}{
		"a folder":    {func(name string) error { return os.Mkdir(name, 0o755) }, "not a regular file"},
		"a device":    {func(name string) error { return os.Symlink("/dev/zero", name) }, "not a regular file"},
		"too large":   {func(name string) error { return os.WriteFile(name, make([]byte, 101), 0o644) }, "larger than 100 bytes"},
		"a lost link": {func(name string) error { return os.Symlink("gone", name) }, "no such file"},
		"a bad link":  {func(name string) error { return os.Symlink(name, name) }, "too many levels of symbolic links"},
	} {
		dir := t.TempDir()
		if err := tt.make(filepath.Join(dir, ConfigName)); err != nil {
			t.Fatal(err)
		}
		in := Inherited[string]{Name: ConfigName, Limit: 100, Parse: func(string, []byte) (string, error) { return "", nil }}
		if _, err := in.Of(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
