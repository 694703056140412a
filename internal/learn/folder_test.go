package learn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// savable returns a proven profile of an image, with one write.
func savable(image, digest, path string) profile.Profile {
	p := profileOf("Pod/one", "one", image)
	p.Verdict, p.Scope, p.Runs = profile.Proven, profile.ImageScope, 1
	c := &p.Containers[0]
	c.Digest, c.Method = digest, "ptrace"
	c.Writes = []profile.Write{{Path: path + "/x", Ops: map[trace.Op]int{trace.Create: 1}}}
	c.Volumes = []profile.Volume{{MountPath: path}}
	return p
}

func volumesAt(t *testing.T, dir string) map[string][]string {
	t.Helper()
	all, err := LoadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, p := range all {
		for _, v := range p.Containers[0].Volumes {
			name := filepath.Base(p.File)
			found[name] = append(found[name], v.MountPath)
		}
	}
	return found
}

func save(t *testing.T, dir string, p profile.Profile, known ...profile.Profile) string {
	t.Helper()
	notes, err := SaveIn(dir, []profile.Profile{p}, known)
	if err != nil || len(notes) != 1 {
		t.Fatalf("got notes %q, %v", notes, err)
	}
	return notes[0]
}

// TestSaveIn saves profiles of one and of another image in a folder, again, and
// at the same time.
func TestSaveIn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "profiles")
	save(t, dir, savable("a/one:1", oneDigest, "/run"))
	save(t, dir, savable("a/one:1", otherDigest, "/run"))
	save(t, dir, savable("b/one:1", oneDigest, "/run"))
	if found := volumesAt(t, dir); len(found) != 3 {
		t.Fatalf("got %v, want three files", found)
	}
	known, err := LoadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	name, err := fileIn(dir, savable("a/one:1", oneDigest, "/x"))
	if err != nil {
		t.Fatal(err)
	}
	name = filepath.Base(name)
	if !strings.HasPrefix(name, "aaaaaaaaaaaa-pod-one-") || !strings.HasSuffix(name, Extension) {
		t.Errorf("the file is %s", name)
	}

	// A profile to which the saved one was added replaces it.
	save(t, dir, savable("a/one:1", oneDigest, "/tmp"), known...)
	if got := volumesAt(t, dir)[name]; !cmp.Equal(got, []string{"/tmp"}) {
		t.Errorf("got %v, want it replaced", got)
	}
	// One that does not is merged, and no longer proven.
	if note := save(t, dir, savable("a/one:1", oneDigest, "/data"), known...); !strings.Contains(note, "saved there meanwhile") {
		t.Errorf("got note %q", note)
	}
	if got := volumesAt(t, dir)[name]; !cmp.Equal(got, []string{"/data", "/tmp"}) {
		t.Errorf("got %v, want both", got)
	}
	merged, err := loadOne(filepath.Join(dir, name), savable("a/one:1", oneDigest, "/"))
	if err != nil || merged.Verdict != profile.Weak || len(merged.Weak) != 1 {
		t.Fatalf("got %+v, %v, want a weak one", merged, err)
	}
	// One that was not proven replaces none that was.
	failed := savable("a/one:1", oneDigest, "/failed")
	failed.Verdict = profile.Unproven
	if note := save(t, dir, failed, *merged); !strings.Contains(note, "was kept") {
		t.Errorf("got note %q", note)
	}
	if got := volumesAt(t, dir)[name]; !cmp.Equal(got, []string{"/data", "/tmp"}) {
		t.Errorf("got %v, want what was there", got)
	}
}

// TestSaveInAtOnce saves profiles of one image at the same time: none is lost.
func TestSaveInAtOnce(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	want := []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"}
	for _, path := range want {
		all.Go(func() {
			if _, err := SaveIn(dir, []profile.Profile{savable("a/one:1", oneDigest, path)}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	found := volumesAt(t, dir)
	if len(found) != 1 {
		t.Fatalf("got %v, want one file", found)
	}
	for _, got := range found {
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("(-got +want):\n%s", d)
		}
	}
}

// TestSaveInRefuses checks that SaveIn refuses profiles and folders that are not valid, and
// does not change the folder then.
func TestSaveInRefuses(t *testing.T) {
	dir := t.TempDir()
	good := savable("a/one:1", oneDigest, "/run")
	name, err := fileIn(dir, good)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, there string
		change      func(*profile.Profile)
		want        string
	}{
		{name: "no digest", change: func(p *profile.Profile) { p.Containers[0].Digest = "" }, want: `container one: "" is no digest`},
		{name: "a path as digest", change: func(p *profile.Profile) { p.Containers[0].Digest = "sha256:../../x" }, want: "is no digest"},
		{name: "no container", change: func(p *profile.Profile) { p.Containers = nil }, want: "it has no container"},
		{name: "damaged", there: "kind: Pod\n", want: name + ": document 1: "},
		{name: "another profile", there: "apiVersion: adamant.sh/v1\nkind: Profile\nname: Pod/other\ncontainers: []\n", want: "has another profile than its name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(name, []byte(tc.there), 0o644); err != nil {
				t.Fatal(err)
			}
			p := savable("a/one:1", oneDigest, "/run")
			if tc.change != nil {
				tc.change(&p)
			}
			if _, err := SaveIn(dir, []profile.Profile{p}, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
			if data, err := os.ReadFile(name); err != nil || string(data) != tc.there {
				t.Errorf("the file is now %q, %v", data, err)
			}
		})
	}
}

// TestLoadFolder checks which files of a folder are read, and the limits of their number and
// size.
func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	save(t, dir, savable("a/one:1", oneDigest, "/run"))
	write("README.md", "not read")
	write(".hidden.profile", "not read")
	if all, err := LoadFolder(dir); err != nil || len(all) != 1 || all[0].File == "" {
		t.Errorf("got %+v, %v", all, err)
	}
	write("foreign.profile", "profile of another program")
	if _, err := LoadFolder(dir); err == nil || !strings.Contains(err.Error(), "foreign.profile: document 1") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if all, err := LoadBeside(dir); err != nil || len(all) != 1 {
		t.Errorf("beside manifests: got %d profiles, %v", len(all), err)
	}
	if err := os.Truncate(filepath.Join(dir, "foreign.profile"), profile.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFolder(dir); err == nil || !strings.Contains(err.Error(), "a file may have 16 MiB") {
		t.Errorf("got %v for a large file", err)
	}
	for i := range maxProfiles {
		write(strings.Repeat("x", i%200+1)+string(rune('a'+i/200))+Extension, "")
	}
	if _, err := LoadFolder(dir); err == nil || !strings.Contains(err.Error(), "more than 4096 files") {
		t.Errorf("got %v for many files", err)
	}
	if _, err := LoadFolder(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for a folder that does not exist", err)
	}
}

// TestShared checks which profiles of a folder fit a workload.
func TestShared(t *testing.T) {
	const pinned = "a/one:1@" + oneDigest
	ofWorkload := func(image, digest, path string) profile.Profile {
		p := savable(image, digest, path)
		p.Name, p.Scope, p.Containers[0].Name, p.File = "Pod/web", "", "c", path[1:]+Extension
		return p
	}
	ofImage := func(image, digest, path string) profile.Profile {
		p := savable(image, digest, path)
		p.File = path[1:] + Extension
		return p
	}
	unproven := func(p profile.Profile) profile.Profile {
		p.Verdict = profile.Unproven
		return p
	}
	for _, tc := range []struct {
		name, image   string
		named, shared []profile.Profile
		volume, fails string
	}{
		{name: "none", image: "a/one:1"},
		{name: "by digest", image: pinned, shared: []profile.Profile{ofImage("a/one:1", otherDigest, "/other"), ofImage("b/x:2", oneDigest, "/run")}, volume: "/run"},
		{name: "by reference", image: "a/one:1", shared: []profile.Profile{ofImage("a/one:2", oneDigest, "/other"), ofImage("a/one:1", oneDigest, "/run")}, volume: "/run"},
		{name: "of two images", image: "a/one:1", shared: []profile.Profile{ofImage("a/one:1", oneDigest, "/a"), ofImage("a/one:1", otherDigest, "/b")},
			fails: "image a/one:1 is not pinned, and there are profiles of two images of this name: the profile of Pod/one in a.profile is of sha256:aaaaaaaaaaaa, the profile of Pod/one in b.profile is of sha256:bbbbbbbbbbbb"},
		{name: "the workload's first", image: "a/one:1", shared: []profile.Profile{ofImage("a/one:1", oneDigest, "/image"), ofWorkload("a/one:1", oneDigest, "/run")}, volume: "/run"},
		{name: "a workload of this name with another image", image: "a/one:1", shared: []profile.Profile{ofWorkload("a/two:1", oneDigest, "/other")}},
		{name: "that workload with two images", image: "a/one:1", shared: []profile.Profile{ofWorkload("a/one:1", oneDigest, "/a"), ofWorkload("a/one:1", otherDigest, "/b")}, fails: "is not pinned"},
		{name: "the best verdict", image: pinned, shared: []profile.Profile{unproven(ofImage("b/x:1", oneDigest, "/a")), ofImage("a/one:1", oneDigest, "/run")}, volume: "/run"},
		{name: "unproven", image: "a/one:1", shared: []profile.Profile{unproven(ofImage("a/one:1", oneDigest, "/a"))}, fails: "was not proven"},
		{name: "named ones first", image: "a/one:1", named: []profile.Profile{ofImage("a/one:1", oneDigest, "/named")}, shared: []profile.Profile{ofWorkload("a/one:1", oneDigest, "/run")}, volume: "/named"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := manifest.Parse("x.yaml", []byte(`{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: "`+tc.image+`"}]}}`))
			if err != nil {
				t.Fatal(err)
			}
			fit, err := Fitter{Profiles: tc.named, Shared: tc.shared}.Fit(Workload{f, f.Workloads()[0]}, func(string) bool { return false })
			if (err != nil) != (tc.fails != "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Fatalf("got error %v, want %q", err, tc.fails)
			}
			if err != nil {
				return
			}
			volume := ""
			for _, p := range fit.Plans {
				volume += p.Mounts[0].MountPath
			}
			if volume != tc.volume || len(fit.Used)+len(fit.Shared) != len(fit.Plans) {
				t.Errorf("got volume %q, used %v and %v, want volume %q", volume, fit.Used, fit.Shared, tc.volume)
			}
		})
	}
}
