package capture

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// findData finds the directories whose content is data: those that the caller
// names, the state directories of units, and the directories in /srv, /var/lib,
// /var/spool, /var/opt and /var/www that services write to.
func (s *survey) findData() error {
	found := map[string]string{}
	for _, dir := range s.opts.Data {
		canonical, exists, err := s.root.Resolve(dir)
		if err != nil {
			return fmt.Errorf("data directory %s: %w", dir, err)
		}
		e, _ := s.files.Lookup(canonical)
		if !exists || e.Kind != tree.Directory || slices.Contains(systemDirs, canonical) {
			return fmt.Errorf("data directory %s: not a directory that can be one", dir)
		}
		found[canonical] = "it was named"
	}
	for i, u := range s.units {
		for _, name := range u.words("StateDirectory") {
			name, err := u.expand(name)
			if err != nil {
				continue // its value is known on the server only; isData still finds a directory in use
			}
			if dir, ok := s.directory(path.Join("/var/lib", name)); ok {
				found[dir] = "StateDirectory of " + s.plan.Services[i].Unit
			}
		}
	}
	for _, parent := range []string{"/srv", "/var/lib", "/var/spool", "/var/opt", "/var/www"} {
		for e := range s.files.Children(parent) {
			if why := s.isData(e); why != "" && found[e.Path] == "" {
				found[e.Path] = why
			}
		}
	}
	// A directory precedes everything below it in this order, so comparing with
	// the last one finds the nested directories, which go with their parent.
	for _, dir := range slices.SortedFunc(maps.Keys(found), tree.ComparePaths) {
		if n := len(s.plan.Data); n == 0 || !isBelow(dir, s.plan.Data[n-1].Path) {
			s.plan.Data = append(s.plan.Data, Data{Path: dir, Why: found[dir]})
		}
	}
	return nil
}

// systemDirs are directories that belong to the system, so that they are not data.
var systemDirs = []string{"/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var", "/var/lib"}

// directory returns the canonical path of a directory, and whether it exists.
func (s *survey) directory(dir string) (string, bool) {
	canonical, exists, err := s.files.Resolve(dir)
	e, _ := s.files.Lookup(canonical)
	return canonical, err == nil && exists && e.Kind == tree.Directory
}

// isData returns why a directory below /srv or /var holds data, empty if it does
// not.
func (s *survey) isData(e tree.Entry) string {
	// The patterns of classes match the content of a directory such as
	// /var/lib/systemd, but not the directory itself.
	inside := tree.Entry{Path: e.Path + "/x", Kind: tree.Regular}
	_, out := classAt(inside)
	if out || e.Kind != tree.Directory || isGenerated(inside, s.hasPeople) {
		return ""
	}
	parent := path.Dir(e.Path)
	if parent == "/srv" {
		return "it lies in /srv"
	}
	if parent != "/var/www" && e.UID != 0 {
		return "a service's user owns it"
	}
	for below := range s.files.Under(e.Path) {
		pkg, _ := s.owners.Of(below.Path)
		switch {
		case pkg != "" || below.Path == e.Path:
		case parent == "/var/www" && below.UID != 0:
			return "a service's user owns " + below.Path
		case parent != "/var/www" && below.Kind == tree.Regular:
			return "it has files that no package brought"
		}
	}
	return ""
}
