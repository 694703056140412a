package facts

import (
	"path"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// DpkgPackages returns the packages in dpkg's database, in its order.
func DpkgPackages(root *rootfs.Root) []InstalledPackage { return dpkgPackages(rootFiles{root}) }

func dpkgPackages(from files) []InstalledPackage {
	packages := parseDpkgStatus(lines(from, "/var/lib/dpkg/status"))
	// Distroless images keep one file for each package.
	if entries, err := from.list("/var/lib/dpkg/status.d"); err == nil {
		for _, e := range entries {
			if !strings.HasSuffix(e.Path, ".md5sums") {
				packages = append(packages, parseDpkgStatus(append(lines(from, e.Path), ""))...)
			}
		}
	}
	return packages
}

// parseDpkgStatus parses paragraphs in the syntax of deb822(5).
func parseDpkgStatus(text []string) []InstalledPackage {
	var packages []InstalledPackage
	fields := map[string]string{}
	for _, line := range append(text, "") {
		if line == "" {
			if p, ok := dpkgPackage(fields); ok {
				packages = append(packages, p)
			}
			clear(fields)
			continue
		}
		if key, value, ok := strings.Cut(line, ":"); ok && line[0] != ' ' {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return packages
}

// dpkgPackage returns the package of a paragraph. ok is false if it was removed.
func dpkgPackage(fields map[string]string) (p InstalledPackage, ok bool) {
	p = InstalledPackage{Name: fields["Package"], Version: fields["Version"], State: Installed}
	if p.Name == "" || p.Version == "" {
		return p, false
	}
	// Only these packages can be installed for several architectures at once.
	if fields["Multi-Arch"] == "same" {
		p.Arch = fields["Architecture"]
	}
	// Status has three words: the selection, an error flag, and the state. Distroless
	// images do not have the field.
	selection, rest, _ := strings.Cut(fields["Status"], " ")
	_, state, _ := strings.Cut(rest, " ")
	switch {
	case state == "not-installed" || state == "config-files":
		return p, false // configuration that was left behind is compared as files
	case state != "installed" && state != "":
		p.State = PackageState(state)
	case selection == "hold":
		p.State = Held
	}
	return p, true
}

func (o *Owners) addDpkg(from files) {
	entries, err := from.list("/var/lib/dpkg/info")
	if err != nil {
		return
	}
	diverted := diversions(from)
	for _, e := range entries {
		name, kind := strings.TrimSuffix(path.Base(e.Path), path.Ext(e.Path)), path.Ext(e.Path)
		plain, _, _ := strings.Cut(name, ":")
		at := func(file string) string {
			if d, is := diverted[usrMerged(file)]; is && d.by != plain {
				return d.to
			}
			return usrMerged(file)
		}
		switch kind {
		case ".list":
			for _, file := range lines(from, e.Path) {
				o.byPath[at(file)] = name
			}
		case ".md5sums":
			for _, line := range lines(from, e.Path) {
				if sum, file, ok := strings.Cut(line, "  "); ok {
					o.sums[at("/"+file)] = sum
				}
			}
		}
	}
	for _, f := range conffiles(lines(from, "/var/lib/dpkg/status")) {
		o.sums[f.Path] = f.Digest
	}
}

// addUcf reads the configuration files that ucf(1) manages for packages, and the
// digests of the packages' versions. dpkg's lists do not have these files.
func (o *Owners) addUcf(registry, hashes []string) {
	for _, line := range registry {
		pkg, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		if file = usrMerged(strings.TrimSpace(file)); path.IsAbs(file) && o.byPath[file] == "" {
			o.byPath[file] = pkg
		}
	}
	for _, line := range hashes {
		sum, file, _ := strings.Cut(line, "  ")
		if file = usrMerged(file); o.byPath[file] != "" && o.sums[file] == "" && hashOf(sum) != nil {
			o.sums[file] = sum
		}
	}
}

// conffiles returns the configuration files of packages with their MD5, which dpkg
// keeps in its status. They are missing in the md5sums of packages.
func conffiles(text []string) []FileDigest {
	var list []FileDigest
	inside := false
	for _, line := range text {
		if !strings.HasPrefix(line, " ") {
			inside = strings.HasPrefix(line, "Conffiles:")
			continue
		}
		if f := strings.Fields(line); inside && len(f) >= 2 {
			list = append(list, FileDigest{f[0], f[1]})
		}
	}
	return list
}
