package manifest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// many returns a manifest of n Deployments with two containers each, as in bench/check.
func many(tb testing.TB, n int) []byte {
	tb.Helper()
	deployment, err := os.ReadFile("../../bench/check/deployment.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	for i := range n {
		b.WriteString("---\n")
		fmt.Fprintf(&b, string(deployment), i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	data := many(b, 1000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("x", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	f, err := Parse("x", many(b, 1000))
	if err != nil {
		b.Fatal(err)
	}
	var ops []Op
	for _, w := range f.Workloads() {
		more, err := Sealing(w, []ContainerPlan{{Container: "web", Mounts: []MountPlan{{MountPath: "/tmp"}}}}, SealOptions{})
		if err != nil {
			b.Fatal(err)
		}
		ops = append(ops, more...)
	}
	for b.Loop() {
		if _, err := f.Apply(ops...); err != nil {
			b.Fatal(err)
		}
	}
}
