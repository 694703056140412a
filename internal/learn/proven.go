package learn

import "github.com/adamant-sh/adamant/internal/learn/profile"

// An UnprovenError is returned for a workload that works with no set of volumes
// that was tried.
type UnprovenError struct{ File, Workload string }

// Error returns the workload and the reason.
func (e *UnprovenError) Error() string {
	return e.Workload + ": no set of volumes was found with which it works"
}

// Mend returns how to see why.
func (e *UnprovenError) Mend() string {
	return "see its proof: adamant learn " + e.File + " -o json; or seal by it all the same with --accept-weak"
}

// ProvenProfiles returns the profiles of lessons, and calls show with each proof.
// It returns an UnprovenError at the first that did not pass or has writes that no
// volume can allow, unless acceptWeak, because only a profile that was proven may
// seal.
func ProvenProfiles(file string, lessons []Lesson, acceptWeak bool, show func(Proof)) ([]profile.Profile, error) {
	var out []profile.Profile
	for _, l := range lessons {
		show(l.Proof)
		if !acceptWeak && (!l.Proof.Passed || len(l.Profile.Unsolved()) > 0) {
			return nil, &UnprovenError{file, l.Profile.Name}
		}
		out = append(out, l.Profile)
	}
	return out, nil
}
