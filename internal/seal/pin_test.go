package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

func TestPlatformsOf(t *testing.T) {
	affinity := func(terms string) string {
		return "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" + terms + "]}}}"
	}
	in := func(label, operator, values string) string {
		return "{matchExpressions: [{key: " + label + ", operator: " + operator + ", values: [" + values + "]}]}"
	}
	tests := []struct{ name, pod, inUse, want string }{
		{"no demand", "hostPID: true", "linux/amd64 linux/arm64", "linux/amd64 linux/arm64"},
		{"another label", "nodeSelector: {disk: ssd}", "linux/amd64", "linux/amd64"},
		{"one of those in use", "nodeSelector: {kubernetes.io/arch: arm64}", "linux/amd64 linux/arm64", "linux/arm64"},
		{"one beside those in use", "nodeSelector: {kubernetes.io/arch: s390x}", "linux/amd64", "linux/s390x"},
		{"variants in use", "nodeSelector: {kubernetes.io/arch: arm}", "linux/arm/v6", "linux/arm/v6"},
		{"windows", "nodeSelector: {kubernetes.io/os: windows}", "linux/amd64", "windows/amd64"},
		{"windows by its field", "os: {name: windows}", "linux/amd64 windows/arm64", "windows/arm64"},
		{"the old labels", "nodeSelector: {beta.kubernetes.io/arch: arm64, beta.kubernetes.io/os: linux}", "linux/amd64", "linux/arm64"},
		{"any of several", affinity(in("kubernetes.io/arch", "In", "amd64, arm64")), "linux/amd64", "linux/amd64 linux/arm64"},
		{"terms", affinity(in("kubernetes.io/arch", "In", "arm64") + "," + in("kubernetes.io/os", "In", "windows")), "linux/amd64", "linux/arm64 windows/amd64"},
		{"a selector and a term", "nodeSelector: {kubernetes.io/arch: arm64}\n" + affinity(in("kubernetes.io/arch", "In", "amd64, arm64")), "linux/amd64", "linux/arm64"},
		{"all but one", affinity(in("kubernetes.io/arch", "NotIn", "arm64")), "linux/amd64 linux/arm64", "linux/amd64"},
		{"none is left", affinity(in("kubernetes.io/arch", "NotIn", "amd64")), "linux/amd64", ""},
		{"a contradiction", "nodeSelector: {kubernetes.io/arch: arm64}\n" + affinity(in("kubernetes.io/arch", "In", "amd64")), "linux/amd64", ""},
		{"another operator", affinity(in("kubernetes.io/arch", "Exists", "")), "linux/amd64", "linux/amd64"},
		{"more than an image could have", affinity(strings.TrimSuffix(strings.Repeat(in("kubernetes.io/arch", "In", "a%d")+",", 70), ",")), "linux/amd64", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := 0; strings.Contains(tt.pod, "%d"); i++ {
				tt.pod = strings.Replace(tt.pod, "%d", fmt.Sprint(i), 1)
			}
			var inUse []image.Platform
			for _, s := range strings.Fields(tt.inUse) {
				p, err := image.ParsePlatform(s)
				if err != nil {
					t.Fatal(err)
				}
				inUse = append(inUse, p)
			}
			pod := manifest.ReadDocuments("x", 1, []byte(tt.pod))[0].Objects[0].Value
			var got []string
			for _, p := range platformsOf(pod, inUse) {
				got = append(got, p.String())
			}
			if d := cmp.Diff(strings.Join(got, " "), tt.want); d != "" {
				t.Errorf("(-got +want):\n%s", d)
			}
		})
	}
}

// pods returns a stream of pods with n different images, each of which two pods have.
func pods(n int) string {
	var b strings.Builder
	for i := range 2 * n {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec: {containers: [{name: c, image: registry.example/i:%d}]}\n", i, i%n)
	}
	return b.String()
}

// Each image is resolved once, and only some at a time.
func TestImagesAreResolvedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, running, most atomic.Int32
		platform := image.NewPlatform("linux", "amd64", "")
		pin := &Pinning{Resolve: func(_ context.Context, ref image.Reference) (image.Published, error) {
			calls.Add(1)
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			if ref.Tag == "7" {
				return image.Published{}, errors.New("gone")
			}
			return image.Published{Digest: "sha256:" + strings.Repeat("a", 64), Images: []image.PublishedImage{{Platform: platform}}}, nil
		}}
		r, err := Files(t.Context(), []string{"-"}, strings.NewReader(pods(20)), Options{Pin: pin})
		if err != nil {
			t.Fatal(err)
		}
		if calls.Load() != 20 || most.Load() != maxResolving {
			t.Errorf("%d calls, %d at a time, want 20, %d", calls.Load(), most.Load(), maxResolving)
		}
		if r.Summary.Pinned != 38 || len(r.NotPinned) != 2 || !strings.Contains(r.NotPinned[0].Error(), "standard input:40:31: spec.containers[0].image: image registry.example/i:7 is not pinned: gone") {
			t.Errorf("%d pinned, not pinned: %v", r.Summary.Pinned, r.NotPinned)
		}
	})
}

// What sealing adds has pinned images, too, so that sealing the result again changes nothing.
func TestAddedImagesArePinned(t *testing.T) {
	published := image.Published{Digest: "sha256:" + strings.Repeat("a", 64), Images: []image.PublishedImage{{Platform: image.NewPlatform("linux", "amd64", "")}}}
	p := copyUpProfile("registry.example/i:1")
	for _, tc := range []struct {
		form   manifest.CopyUpForm
		image  string
		pinned int // references in the result
	}{
		{manifest.OwnImage, "", 2},
		{manifest.InstalledTool, "registry.example/tool:1", 3},
		{manifest.ImageVolume, "registry.example/tool:1", 3},
	} {
		t.Run(string(tc.form), func(t *testing.T) {
			opts := Options{
				Fitter: learn.Fitter{Shared: []profile.Profile{p}}, CopyUp: manifest.SealOptions{Form: tc.form, Image: tc.image},
				Pin: &Pinning{Resolve: func(context.Context, image.Reference) (image.Published, error) { return published, nil }},
			}
			sealed := pod("p", "registry.example/i:1")
			for i := range 2 {
				r, err := Files(t.Context(), []string{"-"}, strings.NewReader(sealed), opts)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.NotPinned) > 0 || i == 1 && r.Items[0].Changes() {
					t.Errorf("run %d: not pinned: %v, changes: %t", i, r.NotPinned, r.Items[0].Changes())
				}
				_, after, err := r.Items[0].Content()
				if err != nil {
					t.Fatal(err)
				}
				sealed = string(after)
			}
			if n := strings.Count(sealed, "@"+published.Digest); n != tc.pinned || strings.Contains(sealed, "Always") {
				t.Errorf("%d digests, want %d:\n%s", n, tc.pinned, sealed)
			}
		})
	}
}

// The init container that sealing puts in front changes no index of the others.
func TestInitContainersKeepTheirImages(t *testing.T) {
	const inits = "  initContainers:\n  - name: one\n    image: one:1\n  - name: two\n    image: two:1\n"
	for _, isPinned := range []bool{false, true} {
		opts := Options{Fitter: learn.Fitter{Shared: []profile.Profile{copyUpProfile("registry.example/i:1")}}}
		if isPinned {
			published := image.Published{Digest: "sha256:" + strings.Repeat("a", 64), Images: []image.PublishedImage{{Platform: image.NewPlatform("linux", "amd64", "")}}}
			opts.Pin = &Pinning{Resolve: func(context.Context, image.Reference) (image.Published, error) { return published, nil }}
		}
		r, err := Files(t.Context(), []string{"-"}, strings.NewReader(pod("p", "registry.example/i:1")+inits), opts)
		if err != nil {
			t.Fatal(err)
		}
		_, sealed, err := r.Items[0].Content()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range manifest.ReadDocuments("sealed", 1, sealed) {
			for _, f := range imageFields(&d) {
				got = append(got, strings.Join([]string{f.name, nameOf(f.reference), f.in.Get("securityContext", "readOnlyRootFilesystem").Scalar()}, " "))
				if hasDigest(f.reference) != isPinned {
					t.Errorf("%s has image %s", f.name, f.reference)
				}
			}
		}
		want := []string{"container adamant-copy-up registry.example/i true", "container one one true", "container two two true", "container c registry.example/i true"}
		slices.Sort(got)
		slices.Sort(want)
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("pinned: %t (-got +want):\n%s", isPinned, d)
		}
	}
}

// An image with the copy-up tool that cannot be pinned is named if it is used.
func TestToolIsNotPinned(t *testing.T) {
	for _, tc := range []struct {
		name, image string
		want        int
	}{{"used", "registry.example/i:1", 1}, {"not used", "registry.example/other:1", 0}} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Files(t.Context(), []string{"-"}, strings.NewReader(pod("p", tc.image)), Options{
				Fitter: learn.Fitter{Shared: []profile.Profile{copyUpProfile("registry.example/i:1")}},
				CopyUp: manifest.SealOptions{Form: manifest.InstalledTool, Image: "registry.example/tool:1"},
				Pin: &Pinning{Resolve: func(_ context.Context, ref image.Reference) (image.Published, error) {
					if strings.Contains(ref.String(), "tool") {
						return image.Published{}, errors.New("gone")
					}
					return image.Published{Digest: "sha256:" + strings.Repeat("a", 64), Images: []image.PublishedImage{{Platform: image.NewPlatform("linux", "amd64", "")}}}, nil
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.NotPinned) != tc.want || tc.want > 0 && !strings.Contains(r.NotPinned[0].Error(), "the image with the copy-up tool, registry.example/tool:1, is not pinned: gone") {
				t.Errorf("not pinned: %v", r.NotPinned)
			}
		})
	}
}

// copyUpProfile is the profile of an image with a volume that needs the image's content.
func copyUpProfile(image string) profile.Profile {
	return profile.Profile{
		Name: "Pod/p", Scope: "image", Verdict: profile.Proven, Runs: 1,
		Containers: []profile.Container{{
			Name: "c", Image: image, Digest: "sha256:" + strings.Repeat("a", 64), Method: "ptrace", CopyTools: new(true),
			Volumes: []profile.Volume{{MountPath: "/run", CopyUp: true}},
		}},
	}
}

// An interrupt ends sealing while registries do not answer.
func TestResolvingIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		pin := &Pinning{Resolve: func(ctx context.Context, _ image.Reference) (image.Published, error) {
			<-ctx.Done()
			return image.Published{}, ctx.Err()
		}}
		time.AfterFunc(time.Second, cancel)
		if _, err := Files(ctx, []string{"-"}, strings.NewReader(pods(20)), Options{Pin: pin}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
