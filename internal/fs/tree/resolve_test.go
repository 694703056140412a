package tree

import (
	"errors"
	"testing"
)

func TestResolve(t *testing.T) {
	tree := mustTree(t, dir("/"), dir("/run"), dir("/run/lock"), dir("/var"), symlink("/var/run", "/run"), symlink("/var/lock", "run/lock"),
		symlink("/up", "../../../run"), symlink("/a", "b"), symlink("/b", "a"), file("/file"), symlink("/gone", "/not/here"), symlink("/self", "."))
	for _, tt := range []struct {
		path   string
		want   string
		exists bool
		err    error
	}{
		{"/", "/", true, nil},
		{"", "/", true, nil},
		{"/var/run", "/run", true, nil},
		{"/var/run/", "/run", true, nil},
		{"/var/lock", "/run/lock", true, nil},
		{"/var/run/nginx.pid", "/run/nginx.pid", false, nil},
		{"/var/run/a/b/../c", "/run/a/c", false, nil},
		{"/var/run/../etc", "/etc", false, nil},
		{"/up/lock", "/run/lock", true, nil},
		{"/../../var", "/var", true, nil},
		{"/gone/x", "/not/here/x", false, nil},
		{"/self/self/file", "/file", true, nil},
		{"/a", "", false, ErrLoop},
		{"/file/x", "", false, ErrNotDirectory},
		{"/file/..", "", false, ErrNotDirectory},
	} {
		t.Run(tt.path, func(t *testing.T) {
			got, exists, err := tree.Resolve(tt.path)
			if got != tt.want || exists != tt.exists || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, %v; want %q, %v, %v", got, exists, err, tt.want, tt.exists, tt.err)
			}
		})
	}
}
