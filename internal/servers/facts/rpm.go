package facts

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// rpmPackages and rpmFiles are the query formats that rpmFacts and addRPM parse. A tag
// with an equal sign is repeated for all elements of an array.
const (
	rpmPackages = `%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n`
	rpmFiles    = `[%{=NAME}\t%{FILEDIGESTS}\t%{FILEFLAGS}\t%{FILENAMES}\n]`
)

// rpmGhost is the flag of a file that a package owns but does not contain, such as a log.
// The digest is that of a file on the machine that built the package.
const rpmGhost = 1 << 6

// rpmQuery returns the command that prints each package in a format. It names the
// directory of the database, because Debian's rpm would create another one in the home
// directory.
func rpmQuery(dir, format string) []string {
	return []string{"rpm", "--dbpath", dir, "-qa", "--qf", format}
}

// rpmDatabase returns the directory of rpm's database, empty if there is none or it has
// no packages. An empty database, which any call of rpm can create, must not make the
// packages unknown.
func rpmDatabase(from files) string {
	for _, dir := range []string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"} {
		entries, err := from.list(dir)
		if err != nil {
			continue
		}
		size := map[string]int64{}
		for _, e := range entries {
			if e.Kind == tree.Regular {
				size[path.Base(e.Path)] = e.Size
			}
		}
		const sqlite = "rpmdb.sqlite"
		// Packages may be in the write-ahead log alone, so the database counts as blank
		// only without one.
		isBlank := size[sqlite] > 0 && size[sqlite+"-wal"] == 0 && isBlankTable(from, path.Join(dir, sqlite))
		if size[sqlite] > 0 && !isBlank || size["Packages.db"] > 0 || size["Packages"] > 0 {
			return dir
		}
	}
	return ""
}

// isBlankTable reports whether an SQLite database of rpm has no packages: the root of
// the first table, which is the second page, is then a leaf without cells
// (https://www.sqlite.org/fileformat.html, 1.6).
func isBlankTable(from files, file string) bool {
	f, err := from.open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	const maxPage = 1 << 16
	head, err := io.ReadAll(io.LimitReader(f, maxPage+8))
	if err != nil || len(head) < 18 {
		return false
	}
	size := int(binary.BigEndian.Uint16(head[16:]))
	if size == 1 { // the size has 16 bits, and 1 stands for 65536
		size = maxPage
	}
	if size < 512 || len(head) < size+8 {
		return false
	}
	const leaf = 0x0d
	return head[size] == leaf && binary.BigEndian.Uint16(head[size+3:]) == 0
}

// readRPM asks rpm for the packages if there is a database. If rpm cannot be run, the
// packages are unknown.
func readRPM(ctx context.Context, from files, run runFunc) ([]Fact, []Unknown) {
	dir := rpmDatabase(from)
	if dir == "" {
		return nil, nil
	}
	err := errors.New("only the system itself can read this database, and it is not running")
	var facts []Fact
	if run != nil {
		err = run(ctx, rpmQuery(dir, rpmPackages), func(r io.Reader) error {
			text, err := textOf(r)
			facts = rpmFacts(text)
			return err
		})
	}
	if err != nil {
		return nil, []Unknown{{Path: dir, Reason: "packages of rpm: " + err.Error(), Section: Package}}
	}
	return facts, nil
}

// rpmFacts turns the output of rpmPackages into facts, one for each name.
func rpmFacts(text string) []Fact {
	byName := map[string][]InstalledPackage{}
	for _, p := range parseRPM(text) {
		byName[p.Name] = append(byName[p.Name], p)
	}
	var facts []Fact
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		facts = append(facts, Fact{Package, name, rpmValue(byName[name])})
	}
	return facts
}

// parseRPM parses the output of rpmPackages. As in rpm's own output an epoch of 0 is
// left out.
func parseRPM(text string) []InstalledPackage {
	var packages []InstalledPackage
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 || f[0] == "" || f[1] == "" {
			continue
		}
		packages = append(packages, InstalledPackage{Name: f[0], Version: strings.TrimPrefix(f[1], "0:"), Arch: f[2], State: Installed})
	}
	return packages
}

// rpmValue returns the versions of one package, such as those of several kernels,
// with their architectures if there is more than one.
func rpmValue(packages []InstalledPackage) string {
	slices.SortFunc(packages, func(a, b InstalledPackage) int {
		return cmp.Or(strings.Compare(a.Version, b.Version), strings.Compare(a.Arch, b.Arch))
	})
	packages = slices.Compact(packages)
	manyArchs := slices.ContainsFunc(packages, func(p InstalledPackage) bool { return p.Arch != packages[0].Arch })
	var parts []string
	for _, p := range packages {
		if manyArchs {
			p.Version += "." + p.Arch
		}
		parts = append(parts, p.Version)
	}
	return strings.Join(parts, ", ")
}

// rpmArchs are the architectures that rpm packages are built for. A release has
// dots, too ("1.el9"), so an architecture is only recognized by its name.
var rpmArchs = []string{
	"noarch", "x86_64", "x86_64_v2", "i386", "i486", "i586", "i686", "aarch64", "armv7hl", "ppc64le", "s390x", "riscv64", "loongarch64", "(none)",
}

// parseRPMVersions is the inverse of rpmValue, except that an architecture which is
// the only one is unknown.
func parseRPMVersions(name string, versions []string) []InstalledPackage {
	var plain, withArch []InstalledPackage
	archs := map[string]bool{}
	for _, v := range versions {
		plain = append(plain, InstalledPackage{Name: name, Version: v, State: Installed})
		i := strings.LastIndexByte(v, '.')
		if i < 0 || !slices.Contains(rpmArchs, v[i+1:]) {
			continue
		}
		archs[v[i+1:]] = true
		withArch = append(withArch, InstalledPackage{Name: name, Version: v[:i], Arch: v[i+1:], State: Installed})
	}
	// rpmValue adds architectures to all versions or to none, and only if they
	// differ. Otherwise the suffix is part of the release.
	if len(withArch) == len(versions) && len(archs) > 1 {
		return withArch
	}
	return plain
}

// addRPM parses the output of rpmFiles: a package, a digest, flags, and a file.
// Directories and links have no digest.
func (o *Owners) addRPM(r io.Reader) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		f := strings.SplitN(s.Text(), "\t", 4)
		if len(f) < 4 || !path.IsAbs(f[3]) {
			continue // part of a name with a line break
		}
		file := usrMerged(f[3])
		o.byPath[file] = f[0]
		if flags, err := strconv.ParseUint(f[2], 10, 32); err == nil && flags&rpmGhost == 0 && hashOf(f[1]) != nil {
			o.sums[file] = f[1]
		}
	}
	return s.Err()
}
