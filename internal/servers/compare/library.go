package compare

import (
	"context"
	"encoding/json"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A library is a package of a language's package manager, in one directory.
type library struct {
	manager string // pip, npm or gem
	dir     string // that contains it
	name    string
}

var (
	pythonDir = regexp.MustCompile(`^(/.*?/(?:dist|site)-packages)/([^/]+)`)
	distInfo  = regexp.MustCompile(`^(.+?)-([^-]+)(?:-py[0-9.]+)?\.(?:dist|egg)-info$`)
	nodeDir   = regexp.MustCompile(`^(/.*?/node_modules)/(\.package-lock\.json|@[^/]+/[^/]+|[^/@][^/]*)`)
	gemDir    = regexp.MustCompile(`^(/.*/gems/[0-9][0-9.]*|/var/lib/gems/[^/]+)/(?:gems|specifications|cache|doc|build_info|extensions/[^/]+/[^/]+)/(.+?)-([0-9][0-9A-Za-z.]*?)(?:\.gemspec|\.gem|\.info)?(?:/|$)`)
)

// libraryOf returns the library that a path belongs to, and its version if the path
// names it; ok is false if the path belongs to none.
func libraryOf(p string) (l library, version string, ok bool) {
	if m := gemDir.FindStringSubmatch(p); m != nil {
		return library{"gem", m[1], m[2]}, m[3], true
	}
	if m := pythonDir.FindStringSubmatch(p); m != nil {
		name := m[2]
		if i := distInfo.FindStringSubmatch(name); i != nil {
			name, version = i[1], i[2]
		}
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".py"), ".pth")
		return library{"pip", m[1], strings.ToLower(strings.ReplaceAll(name, "-", "_"))}, version, true
	}
	if m := nodeDir.FindStringSubmatch(p); m != nil {
		return library{"npm", m[1], m[2]}, "", true
	}
	return library{}, "", false
}

// versions holds the versions of libraries by server.
type versions map[library]map[string]string

// maxPackageJSON bounds how many files are read for the versions of npm packages.
const maxPackageJSON = 200

// libraryVersions returns the versions of the libraries that differ. The paths of pip
// and gem contain them, and npm's are in files.
func libraryVersions(ctx context.Context, peers []*facts.Peer, files []Difference) (versions, error) {
	found := versions{}
	read := 0
	for _, d := range files {
		l, version, ok := libraryOf(d.Key)
		if !ok || d.Package != "" {
			continue
		}
		isJSON := l.manager == "npm" && d.Key == path.Join(l.dir, l.name, "package.json")
		for _, p := range peers {
			if _, has := d.Values[p.Name]; !has {
				continue
			}
			if isJSON && read < maxPackageJSON {
				read++
				var err error
				if version, err = npmVersion(ctx, p, d.Key); err != nil {
					return nil, err
				}
			}
			if version == "" {
				continue
			}
			if found[l] == nil {
				found[l] = map[string]string{}
			}
			found[l][p.Name] = version
		}
	}
	return found, nil
}

// npmVersion reads the version from a package.json, empty if there is none that can be
// shown.
func npmVersion(ctx context.Context, p *facts.Peer, file string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	text, err := readIf(p, file)
	if err != nil {
		return "", err
	}
	var m struct {
		Version string `json:"version"`
	}
	_ = json.Unmarshal(text.Content, &m) // an invalid file names no version
	if len(m.Version) > 64 {
		return "", nil
	}
	return m.Version, nil
}

// title returns the title of the cause of a library.
func (v versions) title(m majority, l library, d Difference) string {
	title := l.manager + " " + l.name
	if byServer := v[l]; len(byServer) > 0 {
		with := d
		with.Values = byServer
		return title + ": " + m.describe(with)
	}
	return title + ", " + d.Where()
}

// libraryOf returns the library of a file. Modules whose names are not those of their
// package belong to the only package that differs in the same directory.
func (e *explainer) libraryOf(d Difference) (library, bool) {
	l, version, ok := libraryOf(d.Key)
	if !ok || d.Package != "" || version != "" || l.manager != "pip" || e.versions[l] != nil {
		return l, ok && d.Package == ""
	}
	var named []library
	for other := range maps.Keys(e.versions) {
		if other.manager == l.manager && other.dir == l.dir {
			named = append(named, other)
		}
	}
	if len(named) == 1 && slices.Equal(slices.Sorted(maps.Keys(e.versions[named[0]])), slices.Sorted(maps.Keys(d.Values))) {
		return named[0], true
	}
	return l, true
}
