package learn

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/durable"
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

// LoadFolder reads the profiles in a folder that has profiles only: of all its files with
// the extension.
func LoadFolder(dir string) ([]profile.Profile, error) {
	names, err := profileNames(dir)
	if err != nil {
		return nil, err
	}
	return loadAll(names, func([]byte) bool { return true })
}

// lockName is the file in a folder of profiles that is locked while one is saved.
const lockName = ".lock"

// SaveIn saves profiles in a folder, each in a file of its own; see fileIn. known are those
// that were there before they were learned, and that were added to them. It returns what
// someone has to know about it, also with an error.
//
// A profile that was not proven does not replace one that was. One that another process
// has saved meanwhile is merged with, and the result is weak, because it was not proven.
func SaveIn(dir string, profiles, known []profile.Profile) (notes []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("save profiles: %w", err)
	}
	lock, err := durable.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("save profiles: %w", err)
	}
	defer func() { err = errors.Join(err, durable.Unlock(lock)) }()
	for _, p := range profiles {
		note, err := saveIn(dir, p, known)
		if err != nil {
			return notes, fmt.Errorf("save the profile of %s: %w", p.Name, err)
		}
		notes = append(notes, note)
	}
	return notes, nil
}

func saveIn(dir string, p profile.Profile, known []profile.Profile) (note string, err error) {
	name, err := fileIn(dir, p)
	if err != nil {
		return "", err
	}
	there, err := loadOne(name, p)
	if err != nil {
		return "", err
	}
	note = "saved in " + name
	if there != nil {
		switch {
		case p.Verdict == profile.Unproven && there.Verdict != profile.Unproven:
			return name + " was kept, because the new profile was not proven", nil
		case !slices.ContainsFunc(known, func(k profile.Profile) bool { return reflect.DeepEqual(k, *there) }):
			if p, err = profile.Merge(p, *there); err != nil {
				return "", err
			}
			if p.Verdict == profile.Proven {
				p.Verdict = profile.Weak
			}
			p.Weak = append(p.Weak, "another profile was saved meanwhile, and what both have together was not proven: learn it once more")
			note += ", together with what was saved there meanwhile"
		}
	}
	data, err := p.Marshal()
	if err != nil {
		return "", err
	}
	return note, durable.WriteFile(name, data, 0o644)
}

// loadOne reads the profile that another one will replace, or returns nil if the file does not
// exist.
func loadOne(name string, by profile.Profile) (*profile.Profile, error) {
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	all, err := loadAll([]string{name}, func([]byte) bool { return true })
	if err != nil {
		return nil, err
	}
	if len(all) != 1 || !isAlike(all[0], by) {
		return nil, fmt.Errorf("%s has another profile than its name: remove it", name)
	}
	return &all[0], nil
}

// fileIn returns the file of a profile in a folder: the first 12 digits of the image's
// digest, the name of the workload or image, and a hash of all by which a profile is chosen.
// It is the same for all that are learned of the same images, commands and arguments.
func fileIn(dir string, p profile.Profile) (string, error) {
	if len(p.Containers) == 0 {
		return "", errors.New("it has no container")
	}
	for _, c := range p.Containers {
		if hex, ok := strings.CutPrefix(c.Digest, "sha256:"); !ok || !hexDigest.MatchString(hex) {
			return "", fmt.Errorf("container %s: %q is no digest of an image, by which profiles are found", c.Name, c.Digest)
		}
	}
	digest := strings.TrimPrefix(p.Containers[0].Digest, "sha256:")[:12]
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(p.Name), "-"), "-")
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", subjectOf(p)))
	return filepath.Join(dir, fmt.Sprintf("%s-%s-%x%s", digest, name[:min(len(name), 100)], sum[:8], Extension)), nil
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// isAlike reports whether two profiles are of the same containers, images, commands and
// arguments, so that what both have seen can be added up.
func isAlike(a, b profile.Profile) bool { return reflect.DeepEqual(subjectOf(a), subjectOf(b)) }

// subjectOf returns what a profile is of, by which it is chosen.
func subjectOf(p profile.Profile) [][]string {
	of := [][]string{{p.Name, p.Scope}}
	for _, c := range p.Containers {
		of = append(of, []string{c.Name, c.Image, c.Digest}, append([]string{"command"}, c.Command...), append([]string{"args"}, c.Args...))
	}
	return of
}

// sharedLike returns the shared profiles of the same images and commands as a profile.
func (o Options) sharedLike(p profile.Profile) []profile.Profile {
	return slices.DeleteFunc(slices.Clone(o.Shared), func(e profile.Profile) bool { return !isAlike(p, e) })
}
