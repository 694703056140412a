package copyup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzTarget checks that a parsed target is formatted as the same argument.
func FuzzTarget(f *testing.F) {
	for _, arg := range []string{
		"/run", "/var/lib/app:subpath=app,mode=0700,uid=999,gid=999", "/etc/a.conf:subpath=a.conf,file", "/odd?name%",
		"/x:mode=8", "/x:uid=-1", "/x:what=1", "x", "/a/../b", "/x:subpath=..", "/x:", "/:", "/x:file",
	} {
		f.Add(arg)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		target, err := ParseTarget(arg)
		if err != nil {
			return
		}
		again, err := ParseTarget(target.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", arg, target.String(), err)
		}
		if diff := cmp.Diff(again, target); diff != "" {
			t.Fatalf("%q became %q:\n%s", arg, target.String(), diff)
		}
	})
}
