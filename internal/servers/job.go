package servers

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

// The types of jobs.
type (
	Job  = change.Job
	Copy = change.Copy
)

// ParsePackageSpec parses NAME or NAME=VERSION.
func ParsePackageSpec(text string) (change.PackageSpec, error) { return change.ParsePackageSpec(text) }

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
