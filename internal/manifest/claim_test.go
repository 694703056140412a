package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// claiming is a StatefulSet with claims of each kind. "data" is also a volume
// of its pod, which the claim replaces.
const claiming = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - name: db
        image: i
        volumeMounts: [{name: data, mountPath: /data}, {name: old, mountPath: /old}]
      volumes:
      - {name: data, hostPath: {path: /srv}}
      - {name: old, persistentVolumeClaim: {claimName: old}}
      - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {}}
`

func TestClaimsAreEmptyVolumes(t *testing.T) {
	f, err := Parse("x", []byte(claiming))
	if err != nil {
		t.Fatal(err)
	}
	w := f.Workloads()[0]
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	want := []corev1.Volume{{Name: "old", VolumeSource: empty}, {Name: "scratch", VolumeSource: empty}, {Name: "data", VolumeSource: empty}}
	if diff := cmp.Diff(w.Template.Spec.Volumes, want); diff != "" {
		t.Errorf("volumes (-got +want):\n%s", diff)
	}
	if refused := Unsupported(w); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	if notes := Notes(w); len(notes) != 3 {
		t.Errorf("notes: %v, want one for each claim", notes)
	}
}

// TestSealingKeepsClaims checks that an edit does not write the stand-ins of
// claims to the manifest.
func TestSealingKeepsClaims(t *testing.T) {
	f, err := Parse("x", []byte(claiming))
	if err != nil {
		t.Fatal(err)
	}
	ops, err := Sealing(f.Workloads()[0], []ContainerPlan{{Container: "db", Mounts: []MountPlan{{MountPath: "/tmp"}, {MountPath: "/data/x"}}}}, SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Apply(ops...)
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - name: db
        image: i
        volumeMounts: [{name: data, mountPath: /data}, {name: old, mountPath: /old}, {name: tmp, mountPath: /tmp}]
        securityContext:
          readOnlyRootFilesystem: true
      volumes:
      - {name: data, hostPath: {path: /srv}}
      - {name: old, persistentVolumeClaim: {claimName: old}}
      - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}
      - name: tmp
        emptyDir: {}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {}}
`
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}
