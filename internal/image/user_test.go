package image

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	passwd = "# comment\nroot:x:0:0:root:/root:/bin/sh\n\nbroken:x\nweb:x:33:33:,,,:/srv:/bin/false\n1000:x:5:6::/digits:\nnohome:x:9:9:::\n"
	groups = "root:x:0:\nweb:x:33:web\nlogs:x:44:other,web\naudio:x:29:web,nohome\nbad:x:y:web\n"
)

func TestLookupUser(t *testing.T) {
	for _, tt := range []struct {
		spec string
		want User
		err  error
	}{
		{"", User{Name: "root", Home: "/root"}, nil},
		{"0", User{Name: "root", Home: "/root"}, nil},
		{"web", User{UID: 33, GID: 33, Groups: []uint32{29, 44}, Name: "web", Home: "/srv"}, nil},
		{"33", User{UID: 33, GID: 33, Groups: []uint32{29, 44}, Name: "web", Home: "/srv"}, nil},
		{"web:logs", User{UID: 33, GID: 44, Groups: []uint32{29, 33}, Name: "web", Home: "/srv"}, nil},
		{"web:7", User{UID: 33, GID: 7, Groups: []uint32{29, 33, 44}, Name: "web", Home: "/srv"}, nil},
		{"1001", User{UID: 1001, Home: "/"}, nil},
		{"1001:1002", User{UID: 1001, GID: 1002, Home: "/"}, nil},
		{"1000", User{UID: 5, GID: 6, Name: "1000", Home: "/digits"}, nil},
		{"nohome", User{UID: 9, GID: 9, Groups: []uint32{29}, Name: "nohome", Home: "/"}, nil},
		{"nobody", User{}, ErrNoUser},
		{"web:nogroup", User{}, ErrNoUser},
		{"-1", User{}, ErrNoUser},
		{"4294967296", User{}, ErrNoUser},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			got, err := LookupUser(tt.spec, []byte(passwd), []byte(groups))
			if diff := cmp.Diff(got, tt.want); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestLookupUserOfImage(t *testing.T) {
	files, err := ReadFiles(t.Context(), webImage(t), "/etc/passwd", "/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	got, err := LookupUser("web", files["/etc/passwd"], files["/etc/group"])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, User{UID: 33, GID: 33, Groups: []uint32{44}, Name: "web", Home: "/srv"}); diff != "" {
		t.Error(diff)
	}
	if got, err := LookupUser("7", nil, nil); err != nil || got.UID != 7 {
		t.Errorf("an image without files: %+v, %v", got, err)
	}
}
