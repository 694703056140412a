package learn

import (
	"errors"
	"fmt"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// Fitter chooses the profiles by which the workloads of a repository are sealed.
type Fitter struct {
	Profiles   []profile.Profile
	AcceptWeak bool
}

// A Fitting is how a workload is sealed by profiles. A container without a profile has no
// plan.
type Fitting struct {
	Plans []manifest.ContainerPlan
	Used  []int // indexes of the profiles
	Notes []string
}

// Fit returns the plans of a workload's containers, except of those that are left out. A
// profile that is of the workload by its name, and of another container, image or command,
// is an error, and so is one that was not proven; see CheckProfiles.
func (f Fitter) Fit(s Workload, leaveOut func(container string) bool) (Fitting, error) {
	for i, p := range f.Profiles {
		if p.Name != s.Name() || ofImage(p) {
			continue
		}
		fit := Fitting{Used: []int{i}}
		var err error
		if fit.Plans, err = s.plans(p, leaveOut); err != nil {
			return Fitting{}, err
		}
		return fit, f.check(s, p, &fit)
	}
	var fit Fitting
	for _, name := range s.containers() {
		if leaveOut(name) {
			continue
		}
		i := s.imageProfile(f.Profiles, name)
		if i < 0 {
			continue
		}
		p := f.Profiles[i]
		if err := f.check(s, p, &fit); err != nil {
			return Fitting{}, err
		}
		c := p.Containers[0]
		c.Name = name
		s.noteImages(profile.Profile{Containers: []profile.Container{c}}, fit.note)
		fit.Plans, fit.Used = append(fit.Plans, containerPlan(c)), append(fit.Used, i)
	}
	return fit, nil
}

func (f *Fitting) note(text string) { f.Notes = append(f.Notes, text) }

// check refuses a profile that was not proven.
func (f Fitter) check(s Workload, p profile.Profile, fit *Fitting) error {
	return checkVerdict(s.File.Name, p, f.AcceptWeak, fit.note)
}

// VolumeNotes returns what someone has to know who seals the workloads of a file by
// profiles of theirs.
func (f Fitter) VolumeNotes(file manifest.File) []string { return volumeNotes(file, f.Profiles) }

// Unused returns an error for a profile that no workload used, of which there are a number
// in the files, and one if the number is one.
func Unused(p profile.Profile, files string, workloads int, one Workload) error {
	switch workloads {
	case 0:
		return fmt.Errorf("%s: %w", files, errNoWorkload)
	case 1:
		return one.misfit(p, "", "it is of another workload")
	}
	return fmt.Errorf("%s: %w", files, errors.New(called(p)+" does not fit: it is of none of the workloads"))
}
