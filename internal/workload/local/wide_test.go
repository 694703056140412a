package local

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/report"
)

func TestWide(t *testing.T) {
	s := halfway()
	s.Strategy, s.Reason = "Canary", strings.Repeat("why ", 30)
	s.Instances = s.Instances[:1]
	var list, one strings.Builder
	if err := NewWorkloadList([]Status{s}).WriteWide(&list); err != nil {
		t.Fatal(err)
	}
	if err := NewDocument(s).WriteWide(&one); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		list.String(): {"Canary", "127.0.0.1:80", "web:2", s.Reason},
		one.String():  {"sha256:0123456789abcdef0123456789abcdef", "TRAFFIC", "Drifted (3)  yes", `first\x0asecond`},
	} {
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in\n%s", part, text)
			}
		}
	}
	want := []report.Name{{Namespace: "shop", Kind: "Deployment", Name: "web"}}
	if diff := cmp.Diff(NewDocument(s).Names(), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}
