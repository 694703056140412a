package capture

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// assignToServices finds the data and the secrets that each service uses, and the ports
// on which it listens.
func (s *survey) assignToServices() {
	used := map[string]bool{}
	for i := range s.plan.Services {
		v := &s.plan.Services[i]
		v.Ports = s.portsOf(v)
		named := s.named(v, &s.units[i])
		for _, d := range s.plan.Data {
			if s.usesData(v, &s.units[i], d.Path, named) {
				v.Data = append(v.Data, d.Path)
				used[d.Path] = true
			}
		}
		for _, secret := range s.plan.Secrets {
			own := slices.ContainsFunc(s.configDirs(v), func(dir string) bool { return isBelow(secret.Path, dir) || secret.Path == dir })
			if (own || isNamed(secret.Path, named)) && !isUnitFile(secret.Path) {
				v.Secrets = append(v.Secrets, secret.Path)
				used[secret.Path] = true
			}
		}
	}
	s.findUnused(used)
}

// usesData reports whether a service uses a directory of data: its state is in it,
// it has the service's name, its configuration names it, or its user owns part of
// it.
func (s *survey) usesData(v *Service, u *unit, dir string, named map[string]bool) bool {
	for _, name := range u.words("StateDirectory") {
		if state, ok := s.directory(path.Join("/var/lib", name)); ok && (state == dir || isBelow(state, dir)) {
			return true
		}
	}
	if slices.Contains(s.stems(v), path.Base(dir)) || isNamed(dir, named) {
		return true
	}
	for e := range s.files.Under(dir) {
		if e.UID != 0 && e.UID == v.UID {
			return true
		}
	}
	return false
}

// stems returns the names that files of a service may have: those of the service,
// its unit, its program and its package.
func (s *survey) stems(v *Service) []string {
	list := []string{v.Name, strings.SplitN(strings.TrimSuffix(v.Unit, ".service"), "@", 2)[0], path.Base(v.Command[0])}
	pkg := strings.SplitN(v.Package, ":", 2)[0]
	list = append(list, pkg)
	for _, end := range []string{"-server", "-common", "-core", "-daemon", "d"} {
		list = append(list, strings.TrimSuffix(pkg, end))
	}
	// Shorter names would match directories of other services.
	return slices.DeleteFunc(list, func(n string) bool { return len(n) < 3 })
}

// configDirs returns the usual paths of the configuration of a service.
func (s *survey) configDirs(v *Service) []string {
	var list []string
	for _, stem := range s.stems(v) {
		list = append(list, "/etc/"+stem, "/etc/"+stem+".conf", "/etc/default/"+stem, "/etc/sysconfig/"+stem)
	}
	return list
}

// pathInText matches an absolute path of at least two components in a text.
var pathInText = regexp.MustCompile(`/[A-Za-z0-9._@+\-]+(/[A-Za-z0-9._@+\-]+)+`)

// maxNamed bounds the paths that are looked up for one service.
const maxNamed = 20_000

// named returns the canonical paths that appear in the command, the unit and the
// configuration of a service.
func (s *survey) named(v *Service, u *unit) map[string]bool {
	named := map[string]bool{}
	s.addNamed(named, settingsOf(v, u))
	for _, file := range s.configFiles(v, u, named) {
		s.addNamed(named, textLines(s.root, file))
	}
	return named
}

// settingsOf returns the texts of a service in which a path can appear: its command,
// its variables and settings of its unit.
func settingsOf(v *Service, u *unit) []string {
	texts := append(slices.Clone(v.Command), v.WorkingDir)
	for _, e := range v.Env {
		texts = append(texts, e.Value)
	}
	for _, key := range []string{"ReadWritePaths", "ReadWriteDirectories", "BindPaths", "ReadOnlyPaths"} {
		texts = append(texts, u.all(key)...)
	}
	return texts
}

// configFiles returns the files of a service in /etc: its unit, its usual configuration
// and the files that its command names, which in turn name the data.
func (s *survey) configFiles(v *Service, u *unit, named map[string]bool) []string {
	files := append(slices.Clone(u.files), slices.Sorted(maps.Keys(named))...)
	for _, dir := range s.configDirs(v) {
		for e := range s.files.Under(dir) {
			files = append(files, e.Path)
		}
	}
	return slices.DeleteFunc(files, func(file string) bool {
		e, _ := s.files.Lookup(file)
		return !strings.HasPrefix(file, "/etc/") || e.Kind != tree.Regular || e.Size >= maxUnit
	})
}

func (s *survey) addNamed(named map[string]bool, texts []string) {
	for _, text := range texts {
		for _, p := range pathInText.FindAllString(text, -1) {
			if len(named) >= maxNamed {
				return
			}
			if canonical, exists, err := s.files.Resolve(p); err == nil && exists {
				named[canonical] = true
			}
		}
	}
}

// isNamed reports whether a path, an entry below it, or one of its parent
// directories is among the named paths.
func isNamed(p string, named map[string]bool) bool {
	// Directories that many services share are no evidence: /etc, /var/lib, /etc/ssl.
	for dir := p; strings.Count(dir, "/") >= 2 && dir != "/var/lib" && dir != "/etc/ssl"; dir = path.Dir(dir) {
		if named[dir] {
			return true
		}
	}
	for n := range named {
		if isBelow(n, p) {
			return true
		}
	}
	return false
}

// findUnused adds a loss for data and secrets that no service is known to use.
func (s *survey) findUnused(used map[string]bool) {
	for _, d := range s.plan.Data {
		if !used[d.Path] {
			s.addLoss(d.Path, "it is data, and no service is known to use it", "mount it where it is needed, or exclude it")
		}
	}
	for _, secret := range s.plan.Secrets {
		if !used[secret.Path] && s.secretFiles[secret.Path] == "" {
			s.addLoss(secret.Path, "it is secret ("+secret.Why+"), and no service is known to read it", "add it to a Secret where it is needed")
		}
	}
}
