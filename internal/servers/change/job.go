package change

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// A Job is what is to be changed. It is done in the order of the fields: packages,
// files, commands.
type Job struct {
	ID       string        `json:"id"` // of letters, digits, dots and dashes
	Packages []PackageSpec `json:"packages,omitempty"`
	Copies   []Copy        `json:"copies,omitempty"`
	Run      string        `json:"run,omitempty"`     // for sh -c
	Script   []byte        `json:"script,omitempty"`  // with its #! line
	UndoRun  string        `json:"undoRun,omitempty"` // for sh -c, beside what is taken back by itself
	Save     []string      `json:"save,omitempty"`    // directories that are saved beside those always saved
	Timeout  time.Duration `json:"timeout"`           // after which the change is killed
	Confirm  time.Duration `json:"confirm"`           // after which it reverts unless it is confirmed; never if 0
}

// A Package is one to be there in a version; any if it is empty.
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

// ParsePackage reads NAME or NAME=VERSION.
func ParsePackageSpec(text string) (PackageSpec, error) {
	name, version, hasVersion := strings.Cut(text, "=")
	p := PackageSpec{name, version}
	if !isWord(name) || hasVersion && !isWord(version) || strings.HasPrefix(name, "-") {
		return p, fmt.Errorf("%.80q: want NAME or NAME=VERSION", text)
	}
	return p, nil
}

// isWord reports whether a text can be a package's name or version, and nothing
// that a package manager takes for more than that.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("+-.:~_", r))
	})
}

// A Copy is a file to be there with a content.
type Copy struct {
	Path    string `json:"path"` // absolute
	Mode    uint32 `json:"mode"` // of one that is not there yet
	Content []byte `json:"content"`
}

// check refuses what cannot be meant.
func (j Job) validate() error {
	if !isWord(j.ID) || j.ID[0] == '.' {
		return fmt.Errorf("%.80q is no id of a change", j.ID)
	}
	for _, p := range j.Packages {
		if _, err := ParsePackageSpec(p.String()); err != nil {
			return err
		}
	}
	for _, c := range j.Copies {
		if !path.IsAbs(c.Path) || path.Clean(c.Path) != c.Path || c.Path == "/" {
			return fmt.Errorf("%.80q is no absolute path of a file", c.Path)
		}
	}
	if len(j.Packages) == 0 && len(j.Copies) == 0 && j.Run == "" && len(j.Script) == 0 {
		return errors.New("there is nothing to change")
	}
	return nil
}

// always are the directories that are saved before any change: what people and
// package managers configure.
var alwaysSaved = []string{"/etc", "/usr/local", "/opt", "/var/spool/cron", "/root"}
