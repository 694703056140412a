package learn

import (
	"context"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

var (
	manifestName = regexp.MustCompile(`(?i)\.(ya?ml|json)$`)
	notInName    = regexp.MustCompile(`[^a-z0-9-]+`)
)

// LoadManifest loads the manifest called arg. If there is no such file, arg is
// an image, and the manifest is a pod of that image. An arg with the extension
// of a manifest is an error then.
func LoadManifest(ctx context.Context, arg string) (manifest.File, error) {
	_, err := os.Stat(arg)
	if arg == "-" || err == nil {
		return manifest.Load(ctx, arg)
	}
	if manifestName.MatchString(arg) {
		return manifest.File{}, err
	}
	return forImage(arg, podName(arg))
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
		data, err := os.ReadFile(p)
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
