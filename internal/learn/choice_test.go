package learn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// choiceProfiles are the profiles of a server with a sidecar and of a database.
func choiceProfiles() []profile.Profile {
	return []profile.Profile{
		{Name: "Deployment/web", Containers: []profile.Container{
			{Name: "app", Image: "app", Writes: []profile.Write{{Path: "/tmp/*", Bytes: 100 << 20}}, Volumes: []profile.Volume{
				{MountPath: "/run", Used: 4096}, {MountPath: "/tmp", Used: 8192},
			}},
			{Name: "log", Image: "log", Volumes: []profile.Volume{{MountPath: "/tmp", Used: 64 << 20}}},
		}},
		{Name: "StatefulSet/db", Containers: []profile.Container{
			{Name: "db", Image: "db", Volumes: []profile.Volume{{MountPath: "/data", Used: 4096, Durable: "files stay"}}},
		}},
	}
}

// chosen returns the medium, limit and claim of each volume that has any.
func chosen(profiles []profile.Profile) map[string]string {
	out := map[string]string{}
	_, all := volumesOf(profiles)
	for _, v := range all {
		words := strings.Fields(v.Medium + " " + v.SizeLimit)
		if v.Claim != nil {
			words = append(words, "claim", v.Claim.Name, v.Claim.Size)
		}
		if len(words) > 0 {
			out[v.String()] = strings.TrimSpace(strings.Join(words, " "))
		}
	}
	return out
}

func TestChoices(t *testing.T) {
	for _, tc := range []struct {
		name    string
		choices Choices
		want    map[string]string
		notes   []string
	}{
		{"none", Choices{}, map[string]string{}, nil},
		{
			"a size for every volume with the path", Choices{SizeLimits: []string{"/tmp=1Gi"}},
			map[string]string{"Deployment/web/app:/tmp": "1Gi", "Deployment/web/log:/tmp": "1Gi"}, nil,
		},
		{
			"one container", Choices{SizeLimits: []string{"log:/tmp=1Gi"}, Mediums: []string{"Deployment/web/app:/run/=Memory"}},
			map[string]string{"Deployment/web/log:/tmp": "1Gi", "Deployment/web/app:/run": "Memory"}, nil,
		},
		{
			"automatic ones, except where another was chosen before or after",
			Choices{SizeLimits: []string{"/data=none", "auto", "app:/run=1Mi"}, Mediums: []string{"log:/tmp=Memory"}},
			map[string]string{"Deployment/web/app:/run": "1Mi", "Deployment/web/app:/tmp": "2Gi", "Deployment/web/log:/tmp": "Memory 1Gi"},
			[]string{
				"Deployment/web/app:/tmp is limited to 2Gi, as it held 100.0 MiB at most: a pod with more is evicted, and the data is lost",
				"Deployment/web/log:/tmp is limited to 1Gi, as it held 64.0 MiB at most: writes beyond it fail",
			},
		},
		{
			"a claim has no limit", Choices{SizeLimits: []string{"auto"}, Claims: []string{"/data=data:10Gi"}},
			map[string]string{"Deployment/web/app:/run": "256Mi", "Deployment/web/app:/tmp": "2Gi", "Deployment/web/log:/tmp": "1Gi", "StatefulSet/db/db:/data": "claim data 10Gi"},
			[]string{
				"Deployment/web/app:/run is limited to 256Mi, as it held 4.0 KiB at most: a pod with more is evicted, and the data is lost",
				"Deployment/web/app:/tmp is limited to 2Gi, as it held 100.0 MiB at most: a pod with more is evicted, and the data is lost",
				"Deployment/web/log:/tmp is limited to 1Gi, as it held 64.0 MiB at most: a pod with more is evicted, and the data is lost",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			profiles := choiceProfiles()
			got, notes, err := tc.choices.Apply(profiles)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(chosen(got), tc.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(notes, tc.notes); diff != "" {
				t.Errorf("notes (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(profiles, choiceProfiles()); diff != "" {
				t.Errorf("the profiles changed:\n%s", diff)
			}
		})
	}
}

// TestChoicesOfOldProfile seals by a profile of an earlier version, which limited
// what it had seen for seconds.
func TestChoicesOfOldProfile(t *testing.T) {
	old := []profile.Profile{{Name: "Pod/web", Containers: []profile.Container{{Name: "app", Volumes: []profile.Volume{{MountPath: "/tmp", Medium: "Memory", SizeLimit: "16Mi"}}}}}}
	got, notes, err := Choices{}.Apply(old)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, old); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	want := []string{"Pod/web/app:/tmp is limited to 16Mi and is in memory, as its profile asks; without that: --size-limit /tmp=none --medium /tmp=none"}
	if diff := cmp.Diff(notes, want); diff != "" {
		t.Errorf("notes (-got +want):\n%s", diff)
	}
	got, notes, err = Choices{SizeLimits: []string{"/tmp=none"}, Mediums: []string{"/tmp=none"}}.Apply(old)
	if err != nil || len(notes) > 0 || len(chosen(got)) > 0 {
		t.Errorf("without both: %v, notes %q, error %v", chosen(got), notes, err)
	}
	if _, _, err := (Choices{SizeLimits: []string{"auto"}}).Apply(old); err == nil || !strings.Contains(err.Error(), "does not tell how much it held") {
		t.Errorf("an automatic limit without a measurement: %v", err)
	}
}

func TestChoicesRefuse(t *testing.T) {
	for _, tc := range []struct {
		name    string
		choices Choices
		want    string
		usage   bool
	}{
		{"no path", Choices{SizeLimits: []string{"16Mi"}}, `"16Mi": want PATH=VALUE, with the path of a volume and a size such as 64Mi, auto or none`, true},
		{"no size", Choices{SizeLimits: []string{"/tmp=much"}}, `"/tmp=much": want a size such as 64Mi, auto or none`, true},
		{"nothing", Choices{SizeLimits: []string{"/tmp=0"}}, `"/tmp=0": want a size`, true},
		{"another medium", Choices{Mediums: []string{"/tmp=memory"}}, `"/tmp=memory": want Memory or none`, true},
		{"a relative path", Choices{Mediums: []string{"tmp=Memory"}}, `"tmp=Memory": want PATH=VALUE`, true},
		{"no name", Choices{Claims: []string{"/data=Data"}}, `"Data" cannot be the name of a claim`, true},
		{"a claim without a size", Choices{Claims: []string{"/data=data:"}}, `with a size such as 10Gi`, true},
		{"no such volume", Choices{SizeLimits: []string{"/var=1Gi"}}, `"/var=1Gi": no volume has this path; there are Deployment/web/app:/run, Deployment/web/app:/tmp, Deployment/web/log:/tmp, StatefulSet/db/db:/data`, false},
		{"another container", Choices{Mediums: []string{"db:/tmp=Memory"}}, `"db:/tmp=Memory": no volume has this path`, false},
		{"a claim for two", Choices{Claims: []string{"/tmp=data"}}, `"/tmp=data": 2 containers have a volume there, and one claim would mix their files: choose one, as in Deployment/web/app:/tmp=data`, false},
		{"two for a claim", Choices{Claims: []string{"/data=data", "/run=data"}}, `"/run=data": claim data was chosen for StatefulSet/db/db:/data already`, false},
		{"a claim with a limit", Choices{Claims: []string{"/data=data"}, SizeLimits: []string{"/data=1Gi"}}, `"/data=1Gi": a claim has no size limit`, false},
		{"a claim in memory", Choices{Claims: []string{"/data=data"}, Mediums: []string{"/data=Memory"}}, `"/data=Memory": a claim has no medium`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := tc.choices.Apply(choiceProfiles())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err := tc.choices.Check(); (err != nil) != tc.usage {
				t.Errorf("check: %v", err)
			}
		})
	}
}

func TestDurableNotes(t *testing.T) {
	profiles := choiceProfiles()
	want := []string{"StatefulSet/db/db:/data is lost with its pod, but should outlive it (files stay): adamant seal --claim /data=NAME"}
	if diff := cmp.Diff(DurableNotes(profiles), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	profiles, _, err := Choices{Claims: []string{"/data=data"}}.Apply(profiles)
	if notes := DurableNotes(profiles); err != nil || len(notes) > 0 {
		t.Errorf("on a claim: %q, error %v", notes, err)
	}
}

const claimManifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - name: app
        image: app
`

// TestSealClaims seals with a claim that is added to the file.
func TestSealClaims(t *testing.T) {
	seal := func(text string, claim string, others ...string) (string, []string) {
		t.Helper()
		var files []manifest.File
		for _, text := range append([]string{text}, others...) {
			f, err := manifest.Parse("web.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		profiles := []profile.Profile{{Name: "Deployment/web", Containers: []profile.Container{{Name: "app", Image: "app", Volumes: []profile.Volume{{MountPath: "/data"}}}}}}
		profiles, notes, err := Choices{Claims: []string{claim}}.ApplyTo(files, profiles)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := Seal(files[0], profiles, manifest.SealOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return string(out), notes
	}
	const added = `---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: files
  namespace: shop
spec:
  accessModes: ["ReadWriteOnce"]
  resources:
    requests:
      storage: 10Gi
`
	sealed, notes := seal(claimManifest, "/data=files:10Gi")
	if !strings.HasSuffix(sealed, added) {
		t.Errorf("sealed without the claim:\n%s", sealed)
	}
	const share = "Deployment/web/app:/data: its 2 replicas share claim files"
	if diff := cmp.Diff(notes, []string{share}); diff != "" {
		t.Errorf("notes (-got +want):\n%s", diff)
	}
	again, notes := seal(sealed, "/data=files:10Gi")
	if again != sealed || len(notes) > 0 {
		t.Errorf("sealed again, notes %q:\n%s", notes, cmp.Diff(again, sealed))
	}
	without, notes := seal(claimManifest, "/data=files")
	if without+added != sealed {
		t.Errorf("without a size:\n%s", cmp.Diff(without+added, sealed))
	}
	if diff := cmp.Diff(notes, []string{"Deployment/web/app:/data is on claim files, which the cluster must have; NAME:SIZE adds it to the file", share}); diff != "" {
		t.Errorf("notes (-got +want):\n%s", diff)
	}
	if beside, notes := seal(claimManifest, "/data=files:10Gi", added); beside != without || len(notes) != 1 {
		t.Errorf("with the claim in another file, notes %q:\n%s", notes, cmp.Diff(beside, without))
	}
	const rootless = "      securityContext: {runAsNonRoot: true}\n"
	if _, notes := seal(claimManifest+rootless, "/data=files:1Gi"); len(notes) != 2 || !strings.Contains(notes[0], "with the pod's fsGroup, no init container must be root") {
		t.Errorf("notes of a pod without root: %q", notes)
	}
	if out, notes := seal(claimManifest+strings.Replace(rootless, "{", "{fsGroup: 7, ", 1), "/data=files:1Gi"); len(notes) != 1 || strings.Contains(out, "initContainers") {
		t.Errorf("with an fsGroup, notes %q:\n%s", notes, out)
	}
	if _, notes = seal(sealed, "/data=other"); len(notes) != 1 || !strings.Contains(notes[0], "is volume data already, which stays as it is") {
		t.Errorf("notes of another claim: %q", notes)
	}
}
