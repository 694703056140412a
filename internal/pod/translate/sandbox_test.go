package translate

import "testing"

// TestSandboxAnnotations checks that a manifest cannot set annotationTrace:
// containerd passes a sandbox's annotations with the prefix adamant.sh/ to runc.
func TestSandboxAnnotations(t *testing.T) {
	s := &PodSpec{Name: "web", Annotations: map[string]string{annotationTrace: "/etc", annotationWorkload: "job/other", "example.com/a": "b"}}
	got := SandboxConfig(s, Facts{Layout: Layout{UID: "u", Dir: "/r/pods/u"}}).Annotations
	if dir, ok := got[annotationTrace]; ok {
		t.Errorf("a manifest sends traces to %s", dir)
	}
	if got[annotationWorkload] != "pod/web" || got["example.com/a"] != "b" {
		t.Errorf("got %v", got)
	}
	if s.Annotations[annotationTrace] != "/etc" {
		t.Error("the manifest's own annotations were changed")
	}
}
