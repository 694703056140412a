package learn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// Extension is that of the files with profiles in a folder.
const Extension = ".profile"

// Limits of the profiles in a folder.
const (
	maxProfiles     = 4096
	maxProfilesSize = 256 << 20 // bytes of all files
)

// LoadBeside reads the profiles in a folder of manifests: of its files with the extension,
// those that are Adamant's, because other programs have files of this name, too.
func LoadBeside(dir string) ([]profile.Profile, error) {
	names, err := profileNames(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && !info.Mode().IsRegular()
	})
	return loadAll(names, func(data []byte) bool { return bytes.Contains(data, []byte(document.APIVersion)) })
}

// profileNames returns the paths of the files in a folder that have the extension, sorted.
func profileNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	defer d.Close()
	var names []string
	for {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			if filepath.Ext(e.Name()) == Extension && !strings.HasPrefix(e.Name(), ".") {
				names = append(names, filepath.Join(dir, e.Name()))
			}
		}
		switch {
		case len(names) > maxProfiles:
			return nil, fmt.Errorf("read profiles: %s has more than %d files with the extension %s: move some to another folder", dir, maxProfiles, Extension)
		case errors.Is(err, io.EOF):
			slices.Sort(names)
			return names, nil
		case err != nil:
			return nil, fmt.Errorf("read profiles: %w", err)
		}
	}
}

// loadAll reads the profiles in those files for whose content keep returns true.
func loadAll(names []string, keep func(data []byte) bool) ([]profile.Profile, error) {
	var out []profile.Profile
	left := int64(maxProfilesSize)
	for _, name := range names {
		data, err := source.ReadRegular(name, min(profile.MaxFile, left))
		if err != nil {
			return nil, fmt.Errorf("read profiles, of which a file may have %d MiB and all together %d MiB: %w", profile.MaxFile>>20, maxProfilesSize>>20, err)
		}
		left -= int64(len(data))
		if !keep(data) {
			continue
		}
		all, err := profile.ParseAll(name, data)
		if err != nil {
			return nil, err
		}
		out = append(out, all...)
	}
	return out, nil
}
