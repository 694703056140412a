package manifest

import (
	"strings"
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
      - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
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
      - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}
      - name: tmp
        emptyDir: {}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
`
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// TestSealingWithClaims mounts claims in place of emptyDirs.
func TestSealingWithClaims(t *testing.T) {
	const set = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      SECURITYcontainers:
      - name: db
        image: i
        volumeMounts:
        - {name: used, mountPath: /used}
      volumes:
      - {name: old, persistentVolumeClaim: {claimName: old-claim}}
  volumeClaimTemplates:
  - {metadata: {name: own}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
  - {metadata: {name: used}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
`
	plain := strings.Replace(set, "SECURITY", "", 1)
	grouped := strings.Replace(set, "SECURITY", "securityContext: {fsGroup: 7}\n      ", 1)
	for _, tc := range []struct {
		name, text string
		plan       MountPlan
		want       []string // lines that sealing adds
		err        string
	}{
		{
			"another claim", grouped, MountPlan{MountPath: "/var/lib/db", Claim: &ClaimPlan{Name: "new.claim"}},
			[]string{
				"- name: var-lib-db", "mountPath: /var/lib/db", "subPath: db", "securityContext:", "readOnlyRootFilesystem: true",
				"- name: var-lib-db", "persistentVolumeClaim:", "claimName: new.claim",
			}, "",
		},
		{
			"a template", grouped, MountPlan{MountPath: "/var/lib/db", Claim: &ClaimPlan{Name: "own"}},
			[]string{"- name: own", "mountPath: /var/lib/db", "subPath: db", "securityContext:", "readOnlyRootFilesystem: true"}, "",
		},
		{
			"a claim of the pod", grouped, MountPlan{MountPath: "/var/lib/db", SubPath: "x", Claim: &ClaimPlan{Name: "old-claim"}},
			[]string{"- name: old", "mountPath: /var/lib/db", "subPath: x", "securityContext:", "readOnlyRootFilesystem: true"}, "",
		},
		{
			"one that is mounted", grouped, MountPlan{MountPath: "/var/lib/db", Claim: &ClaimPlan{Name: "used"}},
			nil, "claim used is mounted at /used in container db already",
		},
		{
			"where it is mounted", grouped, MountPlan{MountPath: "/used", Claim: &ClaimPlan{Name: "used"}},
			[]string{"securityContext:", "readOnlyRootFilesystem: true"}, "",
		},
		{
			"in a pod without an fsGroup, where copy-up sets the owner", plain, MountPlan{MountPath: "/var/lib/db", Claim: &ClaimPlan{Name: "own"}},
			[]string{
				"- name: own", "mountPath: /var/lib/db", "subPath: db",
				`command: ["/adamant", "copy-up", "--from", "/image", "--to", "/volumes", "/var/lib/db:subpath=db"]`,
				"- name: own", "mountPath: /volumes/var/lib/db",
			}, "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("x", []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			ops, err := Sealing(f.Workloads()[0], []ContainerPlan{{Container: "db", Mounts: []MountPlan{tc.plan}}}, SealOptions{Form: ImageVolume, Image: CopyUpImage})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := f.Apply(ops...)
			if err != nil {
				t.Fatal(err)
			}
			rest := tc.want
			for line := range strings.Lines(string(sealed)) {
				if line = strings.TrimSpace(line); len(rest) > 0 && line == rest[0] {
					rest = rest[1:]
				}
			}
			if len(rest) > 0 {
				t.Errorf("no line %q in its place:\n%s", rest[0], sealed)
			}
			if copies := strings.Contains(string(sealed), "copy-up"); copies != (tc.text == plain) {
				t.Errorf("copies up: %v:\n%s", copies, sealed)
			}
		})
	}
}

// TestAddClaim adds a claim to files of several forms.
func TestAddClaim(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: i}]}\n"
	const claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: c\nspec:\n  accessModes: [\"ReadWriteOnce\"]\n" +
		"  resources:\n    requests:\n      storage: 1Gi\n"
	for _, tc := range []struct{ name, text, want string }{
		{"one document", pod, pod + claim},
		{"without a last newline", strings.TrimSuffix(pod, "\n"), pod + claim},
		{"an empty document last", pod + "---\n", pod + "---\n" + claim},
		{"the end of a document", pod + "...\n# end\n", pod + "...\n# end\n" + claim},
		{"lines of Windows", strings.ReplaceAll(pod, "\n", "\r\n"), strings.ReplaceAll(pod+claim, "\n", "\r\n")},
		{"a list", "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(pod), "\n", "\n  ") + "\n", ""},
		{"JSON", `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "i"}]}}`, "error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("x", []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			w := f.Workloads()[0]
			got, err := f.Apply(w.AddClaim(ClaimPlan{Name: "c", Size: "1Gi"}))
			if tc.want == "error" {
				if err == nil || !strings.Contains(err.Error(), "cannot add an object to a file of JSON") {
					t.Errorf("error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := tc.want
			if want == "" {
				want = tc.text + claim
			}
			if diff := cmp.Diff(string(got), want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			again, err := Parse("x", got)
			if err != nil || f.HasClaim(w, "c") || !again.HasClaim(again.Workloads()[0], "c") {
				t.Errorf("the file has the claim: %v, error %v", again.HasClaim(w, "c"), err)
			}
		})
	}
}
