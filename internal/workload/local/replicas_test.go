package local

import (
	"fmt"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
)

func TestTooManyReplicas(t *testing.T) {
	for kind, more := range map[string]string{"Deployment": "", "StatefulSet": "serviceName: x, "} {
		text := fmt.Sprintf(`{apiVersion: apps/v1, kind: %s, metadata: {name: x}, spec: {%sreplicas: 2000000000, selector: {matchLabels: {a: b}},
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}`, kind, more)
		f, err := manifest.Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseDeclaration(f)
		if err == nil || !strings.Contains(err.Error(), "2000000000 replicas: at most 250 of a workload run on one machine") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}
