package balancer

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// TestUnderstood has requests for processes of earlier versions, which would ignore how
// they are meant.
func TestUnderstood(t *testing.T) {
	q := applyRequest{Names: &names.Zone{}, Listeners: []traffic.Listener{
		{Name: "plain", Address: "127.0.0.1:80"}, {Name: "tls", Address: "127.0.0.1:443", TLS: &traffic.TLS{}},
		{Name: "rules", Address: "127.0.0.1:81", Rules: []traffic.Rule{{Path: "/"}}}, {Name: "inside"},
		{Name: "pods", Address: "10.0.0.1:80", From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}},
	}}
	for v, want := range map[int][]string{1: {"plain"}, 2: {"plain", "tls", "rules", "inside"}, 3: {"plain", "tls", "rules", "inside", "pods"}} {
		known, failed := q.understood(v)
		var got []string
		for _, l := range known.Listeners {
			got = append(got, l.Name)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("version %d: -got +want\n%s", v, diff)
		}
		if (known.Names != nil) != (v >= 3) || len(failed)+len(got) != 6-btoi(v >= 3) {
			t.Errorf("version %d: names %v, failed %v", v, known.Names, slices.Sorted(maps.Keys(failed)))
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
