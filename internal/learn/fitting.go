package learn

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// Fitter chooses the profiles by which the workloads of a repository are sealed.
type Fitter struct {
	Profiles   []profile.Profile
	Shared     []profile.Profile // of others, too: those that fit are used for what has none of Profiles
	AcceptWeak bool
}

// A Fitting is how a workload is sealed by profiles. A container without a profile has no
// plan.
type Fitting struct {
	Plans []manifest.ContainerPlan
	Used  []int // indexes of Fitter.Profiles
	Notes []string

	Shared []int // indexes of Fitter.Shared that are used

	by []fitted // of each plan
}

// fitted is a container of a workload with its profile.
type fitted struct {
	container profile.Container // with the name that it has in the workload
	profile   profile.Profile
}

// Fit returns the plans of a workload's containers, except of those that are left out. A
// profile that is of the workload by its name, and of another container, image or command,
// is an error, and so is one that was not proven; see CheckProfiles. If several have the
// name, the first that fits is used. With an error, the fitting has the profiles that are of
// the workload.
func (f Fitter) Fit(s Workload, leaveOut func(container string) bool) (Fitting, error) {
	fit, err := f.byName(s, leaveOut)
	if err != nil || len(fit.Used) > 0 {
		return fit, err
	}
	if !slices.ContainsFunc(s.containers(), func(name string) bool { return s.imageProfile(f.Profiles, name) >= 0 }) {
		if fit, err = f.sharedByName(s, leaveOut); err != nil || len(fit.Shared) > 0 {
			return fit, err
		}
	}
	for _, name := range s.containers() {
		if leaveOut(name) {
			if i := s.imageProfile(f.Profiles, name); i >= 0 {
				fit.Used = append(fit.Used, i) // it is of the workload, which does not need it
			}
			continue
		}
		if err := f.byImage(s, name, &fit); err != nil {
			return fit, err
		}
	}
	return fit, nil
}

// byImage adds the plan of a container by the profile of its image, if there is one.
func (f Fitter) byImage(s Workload, container string, fit *Fitting) error {
	var p profile.Profile
	if i := s.imageProfile(f.Profiles, container); i >= 0 {
		p = f.Profiles[i]
		fit.Used = append(fit.Used, i)
	} else {
		i, err := f.sharedOfImage(s, container)
		if i < 0 || err != nil {
			return err
		}
		p = f.Shared[i]
		fit.Shared = append(fit.Shared, i)
	}
	if err := f.check(s, p, fit); err != nil {
		return err
	}
	c := p.Containers[0]
	c.Name = container
	s.noteImages(profile.Profile{Containers: []profile.Container{c}}, fit.note)
	fit.add(fitted{c, p})
	return nil
}

// byName returns the fitting by a profile of the workload's name. It is empty if there is
// none.
func (f Fitter) byName(s Workload, leaveOut func(container string) bool) (Fitting, error) {
	var fit Fitting
	var misfit error
	for i, p := range f.Profiles {
		if p.Name != s.Name() || OfImage(p) {
			continue
		}
		fit.Used = append(fit.Used, i)
		containers, err := s.fitting(p, leaveOut)
		if err != nil {
			misfit = cmp.Or(misfit, err)
			continue
		}
		for _, c := range containers {
			fit.add(fitted{c, p})
		}
		return fit, f.check(s, p, &fit)
	}
	return fit, misfit
}

func (f *Fitting) add(one fitted) {
	f.Plans, f.by = append(f.Plans, containerPlan(one.container)), append(f.by, one)
}

func (f *Fitting) note(text string) { f.Notes = append(f.Notes, text) }

// check refuses a profile that was not proven.
func (f Fitter) check(s Workload, p profile.Profile, fit *Fitting) error {
	return checkVerdict(s.File.Name, p, f.AcceptWeak, fit.note)
}

// MayBeOf returns the profiles that may be of a workload of which only its name, such as
// "Pod/web", and the images of its containers are known.
func (f Fitter) MayBeOf(name string, images []string) (fit Fitting) {
	mayBe := func(p profile.Profile) bool {
		return p.Name == name || slices.ContainsFunc(p.Containers, func(c profile.Container) bool {
			return slices.ContainsFunc(images, func(image string) bool { return sameImage(c, image) })
		})
	}
	for i, p := range f.Profiles {
		if mayBe(p) {
			fit.Used = append(fit.Used, i)
		}
	}
	for i, p := range f.Shared {
		if mayBe(p) {
			fit.Shared = append(fit.Shared, i)
		}
	}
	return fit
}

// VolumeNotes returns what someone has to know who seals a workload.
func (f Fitting) VolumeNotes(s Workload) []string {
	var notes []string
	for _, one := range f.by {
		notes = append(notes, s.volumeNotes(one.container)...)
	}
	return notes
}

// Unused returns an error for a profile that no workload used, of which there are a number
// in the files, and one if the number is one.
func Unused(p profile.Profile, files string, workloads int, one Workload) error {
	switch workloads {
	case 0:
		return fmt.Errorf("%s: %w", files, errNoWorkload)
	case 1:
		return one.misfit(p, "", "it is of another workload")
	}
	return fmt.Errorf("%s: %w", files, errors.New(Called(p)+" does not fit: it is of none of the workloads"))
}
