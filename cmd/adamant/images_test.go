package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/report"
)

// TestPruneImages checks that the images of pods, and of generations that may run again,
// are kept whatever their names, and that all others can be removed.
func TestPruneImages(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.load("prune-a", "a", "")
	s.load("prune-b", "b", "")
	s.load("prune-unused", "c", "")
	port := freePort(t)
	s.apply(webManifest("prune-a", 1, port))
	s.ended("web")
	s.apply(webManifest("prune-b", 1, port))
	s.ended("web")

	prune := func(args ...string) []string {
		t.Helper()
		var out report.ImageList
		check(t, s.ask(&out, append([]string{"images", "prune", "-o", "json"}, args...)...))
		var names []string
		for _, i := range out.Images {
			names = append(names, i.Names...)
		}
		slices.Sort(names)
		return names
	}
	unused := []string{"adamant.test/prune-unused:1"}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{nil, nil},
		{[]string{"--all", "--older-than", "1h"}, nil},
		{[]string{"--all", "--dry-run"}, unused},
		{[]string{"--all"}, unused},
		{[]string{"--all"}, nil},
	} {
		if got := prune(tt.args...); !slices.Equal(got, tt.want) {
			t.Fatalf("images prune %q removed %q, want %q", tt.args, got, tt.want)
		}
	}
	check(t, s.adamant("rollout", "undo", "web"))
	s.until("the earlier version serves", func() bool { return strings.HasPrefix(fetch(port), "a") })

	// A pod that runs beside the daemon has its image too.
	file := filepath.Join(s.dir, "pod.yaml")
	check(t, os.WriteFile(file, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: beside}\nspec:\n  containers: [{name: web, image: adamant.test/prune-b:1, imagePullPolicy: Never}]\n"), 0o600))
	check(t, s.adamant("run", "-d", "-f", file))
	check(t, s.adamant("delete", "web", "svc/web"))
	if got, want := prune("--all"), []string{"adamant.test/prune-a:1"}; !slices.Equal(got, want) {
		t.Errorf("after the deletion it removed %q, want %q", got, want)
	}
	check(t, s.adamant("rm", "beside"))
	if got, want := prune("--all"), []string{"adamant.test/prune-b:1"}; !slices.Equal(got, want) {
		t.Errorf("after the removal of the pod it removed %q, want %q", got, want)
	}
}
