package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func claimObject(spec string) string {
	return "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {" + spec + "}\n"
}

func TestPersistentClaims(t *testing.T) {
	f, err := Parse("db.yaml", []byte(claimObject(`accessModes: [ReadWriteOnce], storageClassName: fast, volumeMode: Filesystem, resources: {requests: {storage: 1Gi}}`)))
	if err != nil {
		t.Fatal(err)
	}
	list, notes, errs := f.PersistentClaims()
	if len(errs) > 0 || len(list) != 1 || list[0].Namespace != "default" || list[0].Name != "data" {
		t.Fatalf("got %+v, %v", list, errs)
	}
	var got []string
	for _, n := range notes {
		got = append(got, n.Error())
	}
	want := []string{
		"db.yaml:4:38: spec.storageClassName: " + noClasses,
		"db.yaml:4:98: spec.resources.requests: " + notEnforced,
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("notes (-got +want):\n%s", d)
	}
}

func TestPersistentClaimsAreRefusedByField(t *testing.T) {
	const modes, size = "accessModes: [ReadWriteOnce]", "resources: {requests: {storage: 1Gi}}"
	for _, tc := range []struct{ name, spec, want string }{
		{"no mode", size, "db.yaml:4:1: spec.accessModes: required"},
		{"no size", modes, "spec.resources.requests.storage: required"},
		{"no size at all", modes + ", resources: {requests: {storage: 0}}", "spec.resources.requests.storage: 0 is not more than 0"},
		{"a block device", modes + ", " + size + ", volumeMode: Block", "spec.volumeMode: not supported on one machine (block devices are not made here)"},
		{"a selector", modes + ", " + size + ", selector: {matchLabels: {a: b}}", "spec.selector: not supported on one machine (" + dynamicOnly + ")"},
		{"a volume", modes + ", " + size + ", volumeName: pv", "spec.volumeName: not supported on one machine (" + dynamicOnly + ")"},
		{"a source", modes + ", " + size + ", dataSource: {kind: VolumeSnapshot, name: a}", "spec.dataSource: not supported on one machine"},
		{"an unknown field", modes + ", " + size + ", sise: 1", "spec.sise: unknown field"},
		{"an unknown mode", "accessModes: [ReadOnce], " + size, `spec.accessModes[0]: "ReadOnce" is none of`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("db.yaml", []byte(claimObject(tc.spec)))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, errs := f.PersistentClaims(); len(errs) == 0 || !strings.Contains(errs.Error(), tc.want) {
				t.Errorf("got %v, want %q", errs, tc.want)
			}
		})
	}
	f, err := Parse("db.yaml", []byte(strings.Replace(claimObject(modes+", "+size), "name: data", "name: ../data", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errs := f.PersistentClaims(); len(errs) == 0 || !strings.Contains(errs.Error(), "metadata.name") {
		t.Errorf("a name with a slash: got %v", errs)
	}
}

// A claim is a volume that stays, and an ephemeral one is an empty volume.
func TestWithClaims(t *testing.T) {
	f, err := Parse("x", []byte(podSpec("volumes:", "- {name: a, persistentVolumeClaim: {claimName: data, readOnly: true}}", "- {name: b, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}")+`---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      volumes: [{name: data, emptyDir: {}}, {name: shared, persistentVolumeClaim: {claimName: shared}}]
      containers: [{name: a, image: b}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, readOnly bool) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name, ReadOnly: readOnly}}
	}
	want := [][]corev1.Volume{
		{{Name: "a", VolumeSource: claim("data", true)}, {Name: "b", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		{{Name: "shared", VolumeSource: claim("shared", false)}, {Name: "data", VolumeSource: claim("data", false)}},
	}
	missing := [][]string{{"x:7:39: spec.volumes[0].persistentVolumeClaim.claimName: there is no PersistentVolumeClaim default/data"}, {"there is no PersistentVolumeClaim shop/shared"}}
	for i, w := range f.Workloads() {
		if d := cmp.Diff(w.WithClaims().Spec.Volumes, want[i]); d != "" {
			t.Errorf("%s (-got +want):\n%s", w, d)
		}
		for n, ref := range w.ClaimRefs() {
			if n >= len(missing[i]) || !strings.Contains(ref.Missing.Error(), missing[i][n]) {
				t.Errorf("%s: got %v, want %v", w, ref.Missing, missing[i])
			}
		}
		if refused := Once.Unsupported(w); len(refused) > 0 {
			t.Errorf("%s: refused: %v", w, refused)
		}
	}
}
