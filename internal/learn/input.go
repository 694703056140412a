package learn

import (
	"context"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

var (
	manifestName = regexp.MustCompile(`(?i)\.(ya?ml|json)$`)
	notInName    = regexp.MustCompile(`[^a-z0-9-]+`)
)

// LoadManifests loads manifests as one: files, directories of them, "-" for stdin,
// and images, which stand for a pod of that image. A name that is no file and has
// the extension of a manifest is an error.
func LoadManifests(ctx context.Context, args []string, stdin io.Reader) (manifest.File, error) {
	var files []manifest.File
	for _, arg := range args {
		_, err := os.Stat(arg)
		switch {
		case arg == "-" || err == nil:
			more, err := source.LoadAll(ctx, []string{arg}, stdin)
			if err != nil {
				return manifest.File{}, err
			}
			files = append(files, more...)
		case manifestName.MatchString(arg):
			return manifest.File{}, err
		default:
			f, err := forImage(arg, podName(arg))
			if err != nil {
				return manifest.File{}, err
			}
			files = append(files, f)
		}
	}
	return manifest.Join(files...)
}

// podName returns the name of a pod of an image: nginx for
// "docker.io/library/nginx:1".
func podName(reference string) string {
	name, _, _ := strings.Cut(reference, "@")
	name = path.Base(name)
	name, _, _ = strings.Cut(name, ":")
	name = strings.Trim(notInName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if name == "" {
		return "image"
	}
	return name[:min(len(name), 63)]
}

// LoadProfiles reads the profiles in files.
func LoadProfiles(paths []string) ([]profile.Profile, error) {
	var out []profile.Profile
	for _, p := range paths {
		data, err := source.ReadRegular(p, profile.MaxFile)
		if err != nil {
			return nil, err
		}
		all, err := profile.ParseAll(p, data)
		if err != nil {
			return nil, err
		}
		out = append(out, all...)
	}
	return out, nil
}
