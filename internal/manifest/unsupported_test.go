package manifest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestSupportTable checks that each name in the table is a field of its type,
// and that the type of every supported field is in the table.
func TestSupportTable(t *testing.T) {
	seen := map[string]bool{"InitContainer": true}
	for _, root := range []any{
		corev1.Pod{}, corev1.ReplicationController{}, appsv1.Deployment{}, appsv1.StatefulSet{}, appsv1.DaemonSet{},
		appsv1.ReplicaSet{}, batchv1.Job{}, batchv1.CronJob{},
	} {
		checkRow(t, reflect.TypeOf(root), seen)
	}
	for row := range supported {
		if !seen[row] {
			t.Errorf("%s is not a type that can be reached", row)
		}
	}
}

func checkRow(t *testing.T, typ reflect.Type, seen map[string]bool) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if seen[typ.Name()] || typ.Name() == "ResourceList" {
		seen[typ.Name()] = true
		return
	}
	if typ.Kind() != reflect.Struct || reflect.PointerTo(typ).Implements(unmarshaler) {
		return
	}
	seen[typ.Name()] = true
	row, ok := supported[typ.Name()]
	if !ok {
		t.Errorf("%s has no row", typ.Name())
		return
	}
	if row.runs == "*" {
		return
	}
	fields := structFields(typ)
	names := strings.Fields(row.runs)
	for name := range row.notes {
		names = append(names, name)
	}
	for name := range row.hints {
		names = append(names, name)
	}
	for _, name := range names {
		name, _, _ = strings.Cut(name, "=")
		f, ok := lookup(fields, name)
		if !ok {
			t.Errorf("%s has no field %s", typ.Name(), name)
			continue
		}
		if strings.Contains(" "+row.runs+" ", " "+name+" ") {
			checkRow(t, f.typ, seen)
		}
	}
}

func TestUnsupported(t *testing.T) {
	tests := []struct {
		name           string
		text           string
		refused, notes []string
	}{
		{name: "the example", text: nginxPod},
		{
			name: "volumes",
			text: podSpec("volumes:", "- {name: a, csi: {driver: d}}", "- {name: b, emptyDir: {medium: HugePages}}", "- name: c", "  projected: {sources: [{serviceAccountToken: {path: a}}]}", "- {name: d, configMap: {name: x, defaultUser: 5}}"),
			refused: []string{
				"7:15: spec.volumes[0].csi: not supported on one machine (there are no CSI drivers here)",
				"8:26: spec.volumes[1].emptyDir.medium: not supported on one machine",
				"10:28: spec.volumes[2].projected.sources[0].serviceAccountToken: not supported on one machine (there is no API server here that could issue one)",
				"11:36: spec.volumes[3].configMap.defaultUser: not supported on one machine",
			},
		},
		{
			name: "persistent volumes",
			text: podSpec("volumes:", "- {name: a, persistentVolumeClaim: {claimName: a}}", "- {name: b, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}"),
			notes: []string{
				"7:15: spec.volumes[0].persistentVolumeClaim: " + emptyVolume,
				"8:15: spec.volumes[1].ephemeral: " + emptyVolume,
			},
		},
		{
			name: "scheduling",
			text: podSpec("nodeSelector: {a: b}", "affinity: {}", "tolerations: []", "schedulerName: default-scheduler", "serviceAccountName: a", "hostUsers: true", "enableServiceLinks: null"),
			notes: []string{
				"6:3: spec.nodeSelector: pods are not scheduled here: there is one machine",
				"10:3: spec.serviceAccountName: there is no API server here: no token is mounted",
			},
		},
		{
			name:    "pod fields",
			text:    podSpec("runtimeClassName: a", "hostUsers: false", "os: {name: windows}", "securityContext: {windowsOptions: {}}"),
			refused: []string{"6:3: spec.runtimeClassName: not supported on one machine (one runtime is used here)", "7:3: spec.hostUsers: not supported on one machine (user namespaces are not used here)", "8:8: spec.os.name: not supported on one machine", "9:21: spec.securityContext.windowsOptions: not supported on one machine"},
		},
		{
			name: "containers",
			text: podSpec("initContainers:", "- {name: b, image: i, restartPolicy: Always, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]}") + "---\n" +
				strings.ReplaceAll(pod("restartPolicy: Always", "resources: {limits: {hugepages-2Mi: 2Mi, cpu: 1}}"), "name: web", "name: c"),
			notes: []string{"7:48: spec.initContainers[0].resizePolicy: resources are not changed while a pod runs"},
			refused: []string{
				"17:5: spec.containers[0].restartPolicy: not supported on one machine (it is for init containers; the pod's own restartPolicy holds here)",
				"18:26: spec.containers[0].resources.limits.hugepages-2Mi: not supported on one machine",
			},
		},
		{
			name:  "a generated name",
			text:  strings.Replace(pod(), "name: web", "generateName: web-", 1),
			notes: []string{"4:3: metadata.generateName: it is called web here"},
		},
		{
			name: "a Deployment",
			text: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: 3\n  strategy: {type: Recreate}\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}\nstatus: {replicas: 3}\n",
			notes: []string{
				"5:3: spec.replicas: one pod is run, however many are asked for",
				"6:3: spec.strategy: used only when pods are replaced, which a cluster does",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("x", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var refused, notes []string
			for _, w := range f.Workloads() {
				for _, e := range Unsupported(w) {
					refused = append(refused, strings.TrimPrefix(e.Error(), "x:"))
				}
				for _, e := range Notes(w) {
					notes = append(notes, strings.TrimPrefix(e.Error(), "x:"))
				}
			}
			if diff := cmp.Diff(refused, tt.refused); diff != "" {
				t.Errorf("refused (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(notes, tt.notes); diff != "" {
				t.Errorf("notes (-got +want):\n%s", diff)
			}
		})
	}
}

// TestPassedOver checks the one rule for objects that are not run here: those without
// pods are named together, and those with pods each.
func TestPassedOver(t *testing.T) {
	object := func(apiVersion, kind, name, rest string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s}\n%s---\n", apiVersion, kind, name, rest)
	}
	text := object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "check", "webhooks: [{name: a.b.c, clientConfig: {service: {name: x, namespace: y}}}]\n") +
		object("monitoring.coreos.com/v1", "ServiceMonitor", "web", "spec: {endpoints: [{port: http}]}\n") +
		object("monitoring.coreos.com/v1", "PrometheusRule", "web", "spec: {groups: []}\n") +
		object("networking.istio.io/v1", "VirtualService", "web", "spec: {hosts: [web]}\n") +
		object("gateway.networking.k8s.io/v1", "HTTPRoute", "web", "spec: {rules: []}\n") +
		object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com", "spec: {versions: [{schema: {openAPIV3Schema: {properties: {spec: {properties: {containers: {type: array}}}}}}}]}\n") +
		object("rbac.authorization.k8s.io/v1", "Role", "web", "rules: []\n") +
		object("v1", "Namespace", "shop", "") +
		object("argoproj.io/v1alpha1", "Rollout", "web", "spec: {template: {spec: {containers: [{name: web, image: web}]}}}\n")
	f, err := Parse("x", []byte(text+pod()))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"passed over: 8 objects without pods (ValidatingWebhookConfiguration/check, ServiceMonitor/web, PrometheusRule/web, VirtualService/web, HTTPRoute/web," +
			" CustomResourceDefinition/widgets.example.com, 2 more)",
		"x:40: Rollout/web (argoproj.io/v1alpha1) has pods that cannot be run here: it is passed over",
	}
	if diff := cmp.Diff(PassedOverNotes(f.Others()), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if !HavePods(f.Others()) || HavePods(f.Others()[:8]) {
		t.Error("only the Rollout has pods")
	}
	if got := PassedOverNotes(f.Others()[7:8]); len(got) != 1 || got[0] != "passed over: 1 object without pods (Namespace/shop)" {
		t.Errorf("got %q", got)
	}
	if got := PassedOverNotes(nil); got != nil {
		t.Errorf("got %q", got)
	}
	errs := f.UnsupportedKinds()
	if len(errs) != 1 || errs[0].Error() != "x:41:7: kind: Rollout (argoproj.io/v1alpha1) cannot be run here (leave it out, or keep it in a file for the cluster)" {
		t.Errorf("got %v", errs)
	}
}
