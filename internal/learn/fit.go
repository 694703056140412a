package learn

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// A MisfitError is returned for a profile that is of another workload than the one
// that is to be sealed.
type MisfitError struct {
	File                string // manifest
	Workload, Container string // Container is empty if it is about the whole workload
	Profile             string // its file and the workload that it is of
	Why                 string
}

func (e *MisfitError) Error() string {
	at := e.Workload
	if e.Container != "" {
		at += ", container " + e.Container
	}
	if e.Profile == "" {
		return fmt.Sprintf("%s: %s: %s", e.File, at, e.Why)
	}
	return fmt.Sprintf("%s: %s: %s does not fit: %s", e.File, at, e.Profile, e.Why)
}

// Mend returns what to do instead.
func (e *MisfitError) Mend() string { return "learn it: adamant learn " + e.File }

// misfit returns the error for a profile of another workload.
func (s Workload) misfit(p profile.Profile, container, why string) error {
	return &MisfitError{File: s.File.Name, Workload: s.Name(), Container: container, Profile: Called(p), Why: why}
}

// Called returns a profile with its file in a few words, for messages.
func Called(p profile.Profile) string {
	text := "the profile of " + p.Name
	if p.File != "" {
		text += " in " + p.File
	}
	return text
}

// profileIn returns the workload's profile: the one with its name or, for each of
// its containers, that of its image.
func (s Workload) profileIn(profiles []profile.Profile) (profile.Profile, error) {
	for _, p := range profiles {
		if p.Name == s.Name() && !OfImage(p) {
			return p, nil
		}
	}
	out := profile.Profile{Name: s.Name()}
	var missing string
	for _, name := range s.containers() {
		i := s.imageProfile(profiles, name)
		if i < 0 && s.isSealed(name) {
			continue // such as the one that copies up
		}
		if i < 0 {
			missing = name
			break
		}
		c := profiles[i].Containers[0]
		c.Name = name
		out.Scope, out.File = profile.ImageScope, profiles[i].File
		out.Containers = append(out.Containers, c)
	}
	switch {
	case missing == "":
		return out, nil
	case len(profiles) == 1:
		return profile.Profile{}, s.misfit(profiles[0], "", "it is of another workload")
	}
	return profile.Profile{}, &MisfitError{File: s.File.Name, Workload: s.Name(), Why: "no profile of " + s.Name() + " was given"}
}

// imageProfile returns the index of the profile of a container's image, or -1. What
// sealing added runs sh or the tool in that image, and writes to its volumes only.
func (s Workload) imageProfile(profiles []profile.Profile, container string) int {
	if c, _ := containerOf(s.Object.Template.Spec, container); manifest.IsCopyUp(c) {
		return -1
	}
	return slices.IndexFunc(profiles, func(p profile.Profile) bool {
		return OfImage(p) && sameImage(p.Containers[0], s.image(container))
	})
}

// OfImage reports whether a profile was learned from an image alone. Earlier
// profiles do not say so, but have the pod that is made for an image.
func OfImage(p profile.Profile) bool {
	if len(p.Containers) != 1 {
		return false
	}
	c := p.Containers[0]
	return p.Scope == profile.ImageScope || p.Verdict == "" && p.Name == "Pod/"+podName(c.Image) && c.Name == podName(c.Image)
}

// scope returns the scope of the workload's profile. The manifest that is made for
// an image has its reference as the name, also when it is joined with others.
func (s Workload) scope() string {
	names := s.containers()
	if len(names) != 1 {
		return ""
	}
	image := s.image(names[0])
	if !slices.Contains(strings.Split(s.File.Name, ", "), image) {
		return ""
	}
	f, err := forImage(image, podName(image))
	if err != nil || len(f.Workloads()) != 1 {
		return ""
	}
	if of := f.Workloads()[0]; s.Name() != (Workload{f, of}).Name() || !reflect.DeepEqual(s.Object.Template, of.Template) {
		return ""
	}
	return profile.ImageScope
}

// differs returns how the subject of a container's profile differs from the
// container in the manifest, or "".
func (s Workload) differs(p profile.Profile, c profile.Container) string {
	if !sameImage(c, s.image(c.Name)) {
		return fmt.Sprintf("the image is %s, but the profile is of %s", s.image(c.Name), described(c))
	}
	spec, _ := containerOf(s.Object.Template.Spec, c.Name)
	switch {
	case OfImage(p) || p.Scope == profile.ImageScope || p.Verdict == "": // it fits every command, or its command is unknown
	case !slices.Equal(spec.Command, c.Command):
		return fmt.Sprintf("the command is %s, but the profile is of %s", words(spec.Command), words(c.Command))
	case !slices.Equal(spec.Args, c.Args):
		return fmt.Sprintf("the args are %s, but the profile is of %s", words(spec.Args), words(c.Args))
	}
	return ""
}

func described(c profile.Container) string {
	if c.Digest == "" {
		return c.Image
	}
	return c.Image + " with " + c.Digest
}

func words(argv []string) string {
	if len(argv) == 0 {
		return "that of the image"
	}
	return fmt.Sprintf("%q", argv)
}

// sameImage reports whether an image reference is the one of a profile, or is
// pinned to the digest of the profile's image. A reference that is pinned to another
// digest is of another image, even if the profile's is not pinned.
func sameImage(c profile.Container, reference string) bool {
	if _, digest, pinned := strings.Cut(reference, "@"); pinned && c.Digest != "" {
		return digest == c.Digest || reference == c.Image
	}
	return c.Image == reference
}

// A VerdictError is returned for a profile that was not proven.
type VerdictError struct {
	Profile string // its file and the workload that it is of
	Why     string
	Again   string // the manifest or image to learn
}

func (e *VerdictError) Error() string { return e.Profile + " was not proven: " + e.Why }

// Mend returns what to do instead.
func (e *VerdictError) Mend() string {
	return "learn it anew: adamant learn " + e.Again + "; or seal by it all the same with --accept-weak"
}

// CheckProfiles checks the profiles that Seal uses for a manifest. A profile that
// is of another workload is an error. So is one that failed its proof or has writes
// that no volume can allow, unless acceptWeak. note is called with what the user
// should know about a profile that is used.
func CheckProfiles(f manifest.File, profiles []profile.Profile, acceptWeak bool, note func(string)) error {
	own := f.Workloads()
	shaped, _ := f.Shaped()
	for i, w := range slices.Concat(own, shaped) {
		s := Workload{f, w}
		p, err := s.profileIn(profiles)
		if err != nil && i >= len(own) {
			continue // Seal leaves it as it is
		}
		if err != nil {
			return err
		}
		if p.Scope == profile.ImageScope {
			for _, c := range p.Containers {
				if err := checkVerdict(f.Name, profiles[s.imageProfile(profiles, c.Name)], acceptWeak, note); err != nil {
					return err
				}
			}
			s.noteImages(p, note)
			continue
		}
		if err := checkVerdict(f.Name, p, acceptWeak, note); err != nil {
			return err
		}
	}
	return nil
}

// noteImages notes that profiles of images are used for a workload.
func (s Workload) noteImages(p profile.Profile, note func(string)) {
	for _, c := range p.Containers {
		spec, _ := containerOf(s.Object.Template.Spec, c.Name)
		text := fmt.Sprintf("%s, container %s: its profile is that of its image %s, which fits any workload of that image", s.Name(), c.Name, c.Image)
		if changes := ownParts(spec); changes != "" {
			text += "; what its " + changes + " change was not seen"
		}
		note(text)
	}
}

// ownParts lists the parts of a container that the pod of an image does not have.
func ownParts(c corev1.Container) string {
	var out []string
	for _, part := range []struct {
		name string
		has  bool
	}{
		{"command", len(c.Command)+len(c.Args) > 0},
		{"environment", len(c.Env)+len(c.EnvFrom) > 0},
		{"volumes", len(c.VolumeMounts) > 0},
		{"security context", c.SecurityContext != nil},
	} {
		if part.has {
			out = append(out, part.name)
		}
	}
	if n := len(out); n > 1 {
		return strings.Join(out[:n-1], ", ") + " and " + out[n-1]
	}
	return strings.Join(out, "")
}

func checkVerdict(file string, p profile.Profile, acceptWeak bool, note func(string)) error {
	fail := func(why string) error {
		if acceptWeak {
			note(Called(p) + " was not proven: " + why)
			return nil
		}
		return &VerdictError{Profile: Called(p), Why: why, Again: file}
	}
	if unsolved := p.Unsolved(); len(unsolved) > 0 {
		return fail("unsolved: " + strings.Join(unsolved, "; "))
	}
	switch p.Verdict {
	case profile.Unproven:
		return fail(strings.Join(append([]string{"its proof failed"}, p.Reasons...), ": "))
	case profile.Weak:
		note(Called(p) + " is weak: " + strings.Join(p.NotSeen(), "; "))
	case "":
		note(Called(p) + " has no verdict: whether it was ever proven is unknown; prove the result: adamant prove FILE")
	}
	return nil
}
