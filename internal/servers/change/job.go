package change

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// A Job describes a change. Its steps are done in the order of the fields: packages,
// files, commands.
type Job struct {
	ID       string        `json:"id"` // of letters, digits, dots and dashes
	Packages []PackageSpec `json:"packages,omitempty"`
	Copies   []Copy        `json:"copies,omitempty"`
	Run      string        `json:"run,omitempty"`     // for sh -c
	Script   []byte        `json:"script,omitempty"`  // with its #! line
	UndoRun  string        `json:"undoRun,omitempty"` // for sh -c, in addition to the automatic undo
	Save     []string      `json:"save,omitempty"`    // directories to save in addition to alwaysSaved
	Timeout  time.Duration `json:"timeout"`           // after which the change is killed
	Confirm  time.Duration `json:"confirm"`           // after which it reverts unless it is confirmed; never if 0
	// ConfirmReboot permits a restart of the server if no login follows the revert of an
	// unconfirmed change.
	ConfirmReboot bool `json:"confirmReboot,omitempty"`

	// Reboot is carried out by the client, after the change was confirmed.
	Reboot        RebootMode    `json:"reboot,omitempty"`
	RebootTimeout time.Duration `json:"rebootTimeout,omitempty"` // until the server has started again
}

// A PackageSpec asks for a package in a version, or in any version if that is empty.
type PackageSpec struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

func (p PackageSpec) String() string {
	if p.Version == "" {
		return p.Name
	}
	return p.Name + "=" + p.Version
}

// ParsePackageSpec parses NAME or NAME=VERSION.
func ParsePackageSpec(text string) (PackageSpec, error) {
	name, version, hasVersion := strings.Cut(text, "=")
	p := PackageSpec{name, version}
	if !isWord(name) || hasVersion && !isWord(version) || strings.HasPrefix(name, "-") {
		return p, fmt.Errorf("%.80q: want NAME or NAME=VERSION", text)
	}
	return p, nil
}

// isWord reports whether a text can be the name or the version of a package. It must
// not be anything else, because package managers take options, patterns and paths in
// the same place.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("+-.:~_", r))
	})
}

// A Copy is a file to write.
type Copy struct {
	Path    string `json:"path"` // absolute
	Mode    uint32 `json:"mode"` // of a new file; one that exists keeps its mode
	Content []byte `json:"content"`
}

// validate returns an error for a job that is invalid.
func (j Job) validate() error {
	// The id is the name of a directory, see Store.
	if !isWord(j.ID) || j.ID[0] == '.' {
		return fmt.Errorf("invalid id of a change: %.80q", j.ID)
	}
	for _, p := range j.Packages {
		if _, err := ParsePackageSpec(p.String()); err != nil {
			return err
		}
	}
	for _, c := range j.Copies {
		if !path.IsAbs(c.Path) || path.Clean(c.Path) != c.Path || c.Path == "/" {
			return fmt.Errorf("%.80q: want an absolute, clean path of a file", c.Path)
		}
	}
	if len(j.Packages) == 0 && len(j.Copies) == 0 && j.Run == "" && len(j.Script) == 0 {
		return errors.New("the job has no steps")
	}
	return nil
}

// alwaysSaved are saved before every change: the directories that people and package
// managers configure.
var alwaysSaved = []string{"/etc", "/usr/local", "/opt", "/var/spool/cron", "/root"}
