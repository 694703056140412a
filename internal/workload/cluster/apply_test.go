package cluster

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

var simple = []map[string]any{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web"}}}

// TestAServerThatNeverAnswers checks that Options.Timeout ends the call although the
// server accepts connections.
func TestAServerThatNeverAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := connect(&rest.Config{Host: "http://" + l.Addr().String()}, "default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(t.Context(), simple, Options{Timeout: 50 * time.Millisecond}); !errors.Is(err, errTimeout) {
		t.Errorf("got %v: want %v", err, errTimeout)
	}
}

// TestWarnings checks that each warning of the API server is passed on once.
func TestWarnings(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Warning", `299 - "this is old"`)
		w.Header().Add("Warning", `299 - "of `+r.URL.Path+`"`)
		w.Write([]byte("{}"))
	}))
	defer s.Close()
	c, err := connect(&rest.Config{Host: s.URL}, "default")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	c.warnings.passTo(func(text string) { got = append(got, text) })
	for _, group := range []string{"a", "b", "a"} {
		kind := schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Widget"}
		if _, _, err := c.kinds.find(t.Context(), kind); !meta.IsNoMatchError(err) {
			t.Error(err)
		}
	}
	if d := cmp.Diff([]string{"this is old", "of /apis/a/v1", "of /apis/b/v1"}, got); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
}
