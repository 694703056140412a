package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServices(t *testing.T) {
	f, err := Parse("web.yaml", []byte(`apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  clusterIP: 10.0.0.1
  ports: [{port: 80}, ]
`))
	if err != nil {
		t.Fatal(err)
	}
	list, errs := f.Services()
	if len(errs) > 0 || len(list) != 1 {
		t.Fatalf("got %v, %v", list, errs)
	}
	if s := list[0]; s.Namespace != "default" || s.Spec.Type != "ClusterIP" || s.Spec.Ports[0].TargetPort.IntValue() != 80 || s.Spec.Ports[0].Protocol != "TCP" {
		t.Errorf("defaults: got %+v", s)
	}
	if len(f.Others()) != 1 {
		t.Error("for who starts pods alone it is not one of the other objects")
	}
}

func TestServicesAreRefusedByField(t *testing.T) {
	for _, tc := range []struct{ name, spec, want string }{
		{"no selector", `ports: [{port: 80}]`, "web.yaml:4:1: spec.selector: required"},
		{"no ports", `selector: {a: b}`, "web.yaml:4:1: spec.ports: required"},
		{"UDP", `selector: {a: b}, ports: [{port: 53, protocol: UDP}]`, "spec.ports[0].protocol: not supported on one machine"},
		{"no external name", `type: ExternalName`, "web.yaml:4:1: spec.externalName: required"},
		{"an address as a name", `type: ExternalName, externalName: "a b"`, `spec.externalName: "a b": a lowercase RFC 1123 subdomain`},
		{"an address of a name", `type: ExternalName, externalName: a.test, clusterIP: 10.0.0.1`, "4:50: spec.clusterIP: not where type is ExternalName"},
		{"a name as an address", `selector: {a: b}, ports: [{port: 80}], clusterIP: web`, `4:47: spec.clusterIP: "web" is no IPv4 address and not None (leave it out: a free one is chosen)`},
		{"headless on a node port", `selector: {a: b}, ports: [{port: 80}], type: NodePort, clusterIP: None`, "spec.clusterIP: None only where type is ClusterIP"},
		{"a port beyond", `selector: {a: b}, ports: [{port: 70000}]`, "spec.ports[0].port: 70000 is no port"},
		{"names twice", `selector: {a: b}, ports: [{port: 80, name: a}, {port: 81, name: a}]`, `spec.ports[1].name: another port is named "a"`},
		{"an unknown field", `selector: {a: b}, ports: [{port: 80, prot: x}]`, "spec.ports[0].prot: unknown field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("web.yaml", []byte("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {"+tc.spec+"}\n"))
			if err != nil {
				t.Fatal(err)
			}
			_, errs := f.Services()
			if len(errs) == 0 || !strings.Contains(errs.Error(), tc.want) {
				t.Errorf("got %v, want %q", errs, tc.want)
			}
		})
	}
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {a: b}}
  %s
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, image: i}]}
`

func TestWhoKeepsWorkloadsRunningHonoursHow(t *testing.T) {
	f, err := Parse("web.yaml", []byte(strings.Replace(deployment, "%s", "replicas: 3\n  minReadySeconds: 2\n  paused: true\n  strategy: {rollingUpdate: {maxSurge: 1}}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	w := f.Workloads()[0]
	if got := Declared.Unsupported(w); len(got) > 0 {
		t.Errorf("refused: %v", got)
	}
	if got := Declared.Notes(w); len(got) > 0 {
		t.Errorf("noted: %v", got)
	}
	var noted []string
	for _, n := range Notes(w) {
		noted = append(noted, n.Path)
	}
	if d := cmp.Diff(noted, []string{"spec.replicas", "spec.minReadySeconds", "spec.paused", "spec.strategy"}); d != "" {
		t.Errorf("noted for one pod (-got +want):\n%s", d)
	}
}

func TestStrategiesThatCannotBeMeant(t *testing.T) {
	for _, tc := range []struct{ spec, want string }{
		{"strategy: {type: Sideways}", "spec.strategy.type"},
		{"strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}", "spec.strategy.rollingUpdate"},
		{"strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}", "both 0"},
		{"strategy: {rollingUpdate: {maxSurge: -1}}", "spec.strategy.rollingUpdate.maxSurge"},
		{"strategy: {rollingUpdate: {maxSurge: many}}", "spec.strategy.rollingUpdate.maxSurge"},
		{"strategy: {rollingUpdate: {maxUnavailable: 120%}}", "more than 100%"},
		{"{minReadySeconds: 5, progressDeadlineSeconds: 5}", "progressDeadlineSeconds"},
	} {
		spec := strings.NewReplacer("{min", "min", "5}", "5", ", progress", "\n  progress").Replace(tc.spec)
		_, err := Parse("web.yaml", []byte(strings.Replace(deployment, "%s", spec, 1)))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.spec, err, tc.want)
		}
	}
}
