package learn

import (
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

const oneDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

const otherDigest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// TestCheckProfiles seals workloads by profiles that fit more or less.
func TestCheckProfiles(t *testing.T) {
	const pod = `{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: "a/one:1", command: [serve], args: ["-v"]}]}}`
	proven := func(changes ...func(*profile.Profile)) profile.Profile {
		p := profileOf("Pod/web", "c", "a/one:1")
		p.Verdict, p.File = profile.Proven, "web.profile"
		p.Containers[0].Command, p.Containers[0].Args, p.Containers[0].Digest = []string{"serve"}, []string{"-v"}, oneDigest
		for _, change := range changes {
			change(&p)
		}
		return p
	}
	ofImage := func(name, image string, changes ...func(*profile.Profile)) profile.Profile {
		p := profileOf("Pod/"+name, name, image)
		p.Verdict, p.Scope, p.File = profile.Proven, profile.ImageScope, name+".profile"
		p.Containers[0].Digest = oneDigest
		for _, change := range changes {
			change(&p)
		}
		return p
	}
	unsolved := func(p *profile.Profile) {
		p.Containers[0].Unsolved = []profile.Write{{Path: "/x", Reason: "names in / itself cannot change"}}
	}
	unproven := func(p *profile.Profile) { p.Verdict, p.Reasons = profile.Unproven, []string{"not healthy"} }
	for _, tc := range []struct {
		name     string
		manifest string
		profiles []profile.Profile
		refused  string // by the error
		weak     bool   // --accept-weak overrules it
		note     string
	}{
		{name: "it fits", manifest: pod, profiles: []profile.Profile{proven()}},
		{name: "weak", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Verdict, p.Weak = profile.Weak, []string{"it was not exercised"} })},
			note: "the profile of Pod/web in web.profile is weak: it was not exercised"},
		{name: "without a verdict", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Verdict, p.Containers[0].Command = "", nil })},
			note: "in web.profile has no verdict"},
		{name: "unproven", manifest: pod, profiles: []profile.Profile{proven(unproven)}, weak: true,
			refused: "the profile of Pod/web in web.profile was not proven: its proof failed: not healthy"},
		{name: "unsolved", manifest: pod, profiles: []profile.Profile{proven(unsolved)}, weak: true,
			refused: "was not proven: unsolved: container c:"},
		{name: "another workload", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Name = "Pod/p" })},
			refused: "x.yaml: Pod/web: the profile of Pod/p in web.profile does not fit: it is of another workload"},
		{name: "another workload, without a verdict", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Name, p.Verdict = "Pod/p", "" })},
			refused: "it is of another workload"},
		{name: "another container", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Containers[0].Name = "d" })},
			refused: "Pod/web, container c: the profile of Pod/web in web.profile does not fit: the profile does not have this container"},
		{name: "another command", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Containers[0].Command = nil })},
			refused: `the command is ["serve"], but the profile is of that of the image`},
		{name: "other args", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Containers[0].Args = []string{"-q"} })},
			refused: `the args are ["-v"], but the profile is of ["-q"]`},
		{name: "another image", manifest: pod, profiles: []profile.Profile{proven(func(p *profile.Profile) { p.Containers[0].Image = "a/one:2" })},
			refused: "the image is a/one:1, but the profile is of a/one:2 with " + oneDigest},
		{name: "the same digest", manifest: strings.Replace(pod, "a/one:1", "b/two@"+oneDigest, 1), profiles: []profile.Profile{proven()}},
		{name: "another digest", manifest: strings.Replace(pod, "a/one:1", "a/one:1@"+otherDigest, 1), profiles: []profile.Profile{proven()},
			refused: "the image is a/one:1@" + otherDigest},
		{name: "of the image", manifest: pod, profiles: []profile.Profile{ofImage("one", "a/one:1")},
			note: "Pod/web, container c: its profile is that of its image a/one:1, which fits any workload of that image; what its command change was not seen"},
		{name: "of the image, unproven", manifest: pod, profiles: []profile.Profile{ofImage("one", "a/one:1", unproven)}, weak: true, refused: "one.profile was not proven"},
		{name: "of another image", manifest: pod, profiles: []profile.Profile{ofImage("two", "a/two:1")}, refused: "it is of another workload"},
		{name: "none", manifest: pod, refused: "no profile of Pod/web was given"},
		{name: "of two images", profiles: []profile.Profile{ofImage("one", "a/one:1"), ofImage("two", "a/two:1")},
			manifest: `{apiVersion: v1, kind: Pod, metadata: {name: both}, spec: {containers: [{name: x, image: "a/two:1"}, {name: z, image: "a/one:1"}]}}`,
			note:     "Pod/both, container z: its profile is that of its image a/one:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := manifest.Parse("x.yaml", []byte(tc.manifest))
			if err != nil {
				t.Fatal(err)
			}
			var notes []string
			note := func(text string) { notes = append(notes, text) }
			err = sealBy(f, tc.profiles, false, note)
			if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("got error %v, want %q in it", err, tc.refused)
			}
			if all := strings.Join(notes, "\n"); !strings.Contains(all, tc.note) || (all == "") != (tc.note == "") {
				t.Errorf("got notes %q, want %q", all, tc.note)
			}
			if tc.refused == "" {
				return
			}
			if err := sealBy(f, tc.profiles, true, note); (err == nil) != tc.weak {
				t.Errorf("with --accept-weak: got error %v, want none: %v", err, tc.weak)
			}
		})
	}
}

// TestSealedTwiceByImage seals by the profile of an image whose content is copied up by an
// init container of that image, to which the profile must not apply.
func TestSealedTwiceByImage(t *testing.T) {
	p := profileOf("Pod/one", "one", "a/one:1")
	p.Verdict, p.Scope = profile.Proven, profile.ImageScope
	p.Containers[0].Volumes = []profile.Volume{{MountPath: "/run", CopyUp: true}}
	f, err := manifest.Parse("x.yaml", []byte(`{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: "a/one:1"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	once, _, err := Seal(f, []profile.Profile{p}, manifest.SealOptions{})
	if err != nil || !strings.Contains(string(once), "adamant-copy-up") {
		t.Fatalf("got %s, %v", once, err)
	}
	if f, err = manifest.Parse("x.yaml", once); err != nil {
		t.Fatal(err)
	}
	twice, _, err := Seal(f, []profile.Profile{p}, manifest.SealOptions{})
	if err != nil || string(twice) != string(once) {
		t.Errorf("sealing again changed it, %v:\n%s", err, twice)
	}
	fit, err := Fitter{Profiles: []profile.Profile{p}}.Fit(Workload{f, f.Workloads()[0]}, func(string) bool { return false })
	if err != nil || len(fit.Plans) != 1 || fit.Plans[0].Container != "c" {
		t.Errorf("got plans %+v, %v", fit.Plans, err)
	}
}

// sealBy checks the profiles and seals by them, as the command does.
func sealBy(f manifest.File, profiles []profile.Profile, acceptWeak bool, note func(string)) error {
	if err := CheckProfiles(f, profiles, acceptWeak, note); err != nil {
		return err
	}
	_, _, err := Seal(f, profiles, manifest.SealOptions{})
	return err
}

// TestScope checks that a profile of an image can be told from that of a pod.
func TestScope(t *testing.T) {
	image, err := forImage("shop.test/web:1", podName("shop.test/web:1"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Workloads(image)
	if err != nil {
		t.Fatal(err)
	}
	if got := all[0].scope(); got != profile.ImageScope {
		t.Errorf("scope of an image is %q, want %q", got, profile.ImageScope)
	}
	if got := parseWorkload(t, strings.Split(twoWorkloads, "---")[0]).scope(); got != "" {
		t.Errorf("scope of a workload is %q, want none", got)
	}
}
