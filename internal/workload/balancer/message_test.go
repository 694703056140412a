package balancer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// TestUnderstood has listeners for a process of the first version, which would ignore how
// they are meant.
func TestUnderstood(t *testing.T) {
	plain := traffic.Listener{Name: "plain", Address: "127.0.0.1:80"}
	list := []traffic.Listener{
		plain, {Name: "tls", Address: "127.0.0.1:443", TLS: &traffic.TLS{}}, {Name: "rules", Address: "127.0.0.1:81", Rules: []traffic.Rule{{Path: "/"}}}, {Name: "inside"},
	}
	if known, failed := understood(version, list); len(known) != len(list) || failed != nil {
		t.Errorf("got %v, %v", known, failed)
	}
	known, failed := understood(1, list)
	if diff := cmp.Diff(known, []traffic.Listener{plain}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	for _, name := range []string{"tls", "rules", "inside"} {
		if failed[name].Message == "" {
			t.Errorf("%s has no error", name)
		}
	}
}
