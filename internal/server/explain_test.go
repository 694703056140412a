package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Files that several causes could explain have the same one each time.
func TestExplainIsStable(t *testing.T) {
	j := jury{servers: []string{"a", "b", "c"}}
	var all []Difference
	for _, d := range []struct {
		section Section
		key     string
	}{{User, "eve"}, {Group, "eve"}, {Sudoers, "eve"}, {File, "/etc/group"}, {File, "/etc/passwd"}, {File, "/etc/shadow"}, {File, "/etc/subuid"}} {
		all = append(all, Difference{Section: d.section, Key: d.key, Values: map[string]string{"c": "x"}, Odd: []string{"c"}})
	}
	want := explain(j, all)
	if len(want) != 3 || len(want[0].Files) != 4 {
		t.Errorf("got %+v", want)
	}
	for range 20 {
		if diff := cmp.Diff(explain(j, all), want); diff != "" {
			t.Fatalf("explained otherwise (-got +want):\n%s", diff)
		}
	}
}
