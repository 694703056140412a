package servers

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

// The types of jobs.
type (
	Job  = change.Job
	Copy = change.Copy
)

// A FieldError is returned for a field of a JobSpec or UpdateSpec that is invalid.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + " " + e.Err.Error() }

func (e *FieldError) Unwrap() error { return e.Err }

// A JobSpec describes a job as a user writes it. Load sets the other fields of Job
// from its own.
type JobSpec struct {
	Job
	Package []string // NAME or NAME=VERSION
	Copy    []string // FILE:PATH
	Script  string   // a file of this machine
}

// RebootModes are the values of Job.Reboot.
var RebootModes = []string{string(change.RebootNever), string(change.RebootIfNeeded), string(change.RebootAlways)}

// IsEmpty reports whether a job would change nothing.
func (s *JobSpec) IsEmpty() bool {
	return len(s.Package)+len(s.Copy) == 0 && s.Run == "" && s.Script == ""
}

// Load reads the files of this machine and returns the job. An error for a field is a
// *FieldError.
func (s *JobSpec) Load() (Job, error) {
	j := s.Job
	for _, text := range s.Package {
		p, err := change.ParsePackageSpec(text)
		if err != nil {
			return j, &FieldError{"package", err}
		}
		j.Packages = append(j.Packages, p)
	}
	for _, text := range s.Copy {
		spec, err := ParseCopySpec(text)
		if err != nil {
			return j, &FieldError{"copy", err}
		}
		c, err := spec.Load()
		if err != nil {
			return j, err
		}
		j.Copies = append(j.Copies, c)
	}
	j.Reboot = cmp.Or(s.Reboot, change.RebootNever)
	if !slices.Contains(RebootModes, string(j.Reboot)) {
		return j, &FieldError{"reboot", fmt.Errorf("%q: want %s", s.Reboot, strings.Join(RebootModes, ", "))}
	}
	if j.Reboot != change.RebootNever && s.RebootTimeout <= 0 {
		return j, &FieldError{"reboot-timeout", fmt.Errorf("%v: want more than 0", s.RebootTimeout)}
	}
	for _, dir := range s.Save {
		if err := CheckSaveDir(dir); err != nil {
			return j, &FieldError{"save", err}
		}
	}
	var err error
	if s.Script != "" {
		j.Script, err = os.ReadFile(s.Script)
	}
	return j, err
}

// A CopySpec names a file of this machine and its path on servers.
type CopySpec struct {
	From, To string
}

// ParseCopySpec parses FILE:PATH. PATH is absolute; if it ends with a slash, it is
// the directory for FILE.
func ParseCopySpec(text string) (CopySpec, error) {
	from, to, ok := strings.Cut(text, ":")
	if !ok || from == "" || !path.IsAbs(to) {
		return CopySpec{}, fmt.Errorf("%q: want FILE:PATH with an absolute PATH", text)
	}
	if strings.HasSuffix(to, "/") {
		to = path.Join(to, filepath.Base(from))
	}
	return CopySpec{from, path.Clean(to)}, nil
}

// Load reads the file of this machine.
func (s CopySpec) Load() (Copy, error) {
	info, err := os.Stat(s.From)
	if err != nil {
		return Copy{}, err
	}
	content, err := os.ReadFile(s.From)
	if err != nil {
		return Copy{}, err
	}
	return Copy{Path: s.To, Mode: uint32(info.Mode().Perm()), Content: content}, nil
}

// CheckSaveDir returns an error for a path that Job.Save must not hold.
func CheckSaveDir(dir string) error {
	if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" {
		return fmt.Errorf("%q: want an absolute path of a directory", dir)
	}
	return nil
}
