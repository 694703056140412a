package facts

import (
	"context"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// An InstalledPackage is an entry of the package database of dpkg, apk or rpm.
//
// The fact of a package has its Key and its Value. This is the only place that
// writes and parses them.
type InstalledPackage struct {
	Name    string
	Version string
	// Arch is empty unless the package can be there for several architectures at
	// the same time: Multi-Arch: same of dpkg, or two architectures with rpm.
	Arch  string
	State PackageState
}

// PackageState is how far a package is installed.
type PackageState string

// The states are those of dpkg(1), and Held. Packages of apk and rpm are Installed
// in all cases. Packages that are removed, with or without their configuration,
// are in no list.
const (
	Installed       PackageState = "installed"
	Held            PackageState = "held" // installed, with the selection state hold
	HalfInstalled   PackageState = "half-installed"
	Unpacked        PackageState = "unpacked"
	HalfConfigured  PackageState = "half-configured"
	TriggersAwaited PackageState = "triggers-awaited"
	TriggersPending PackageState = "triggers-pending"
)

// IsInstalled reports whether a package is installed and configured.
func (p InstalledPackage) IsInstalled() bool { return p.State == Installed || p.State == Held }

// Released returns the package without its hold.
func (p InstalledPackage) Released() InstalledPackage {
	if p.State == Held {
		p.State = Installed
	}
	return p
}

// Key returns the name and, if there is one, the architecture: "libc6:amd64".
func (p InstalledPackage) Key() string {
	if p.Arch == "" {
		return p.Name
	}
	return p.Name + ":" + p.Arch
}

// Value returns the version and, unless the package is simply installed, its state:
// "1.2 (held)".
func (p InstalledPackage) Value() string {
	if p.State == Installed {
		return p.Version
	}
	return p.Version + " (" + string(p.State) + ")"
}

// ParsePackages parses the key and the value of a fact. It returns none for an empty
// value, and several if rpm has several versions or architectures of a package.
func ParsePackages(key, value string) []InstalledPackage {
	if value == "" {
		return nil
	}
	p := InstalledPackage{Name: key, Version: value, State: Installed}
	p.Name, p.Arch, _ = strings.Cut(key, ":")
	if version, state, ok := strings.Cut(strings.TrimSuffix(value, ")"), " ("); ok {
		p.Version, p.State = version, PackageState(state)
		return []InstalledPackage{p}
	}
	versions := strings.Split(value, ", ")
	if len(versions) == 1 {
		return []InstalledPackage{p}
	}
	return parseRPMVersions(p.Name, versions)
}

// packageFacts reads the databases of dpkg and apk. That of rpm is not a text, see
// readRPM.
func packageFacts(from files) []Fact {
	return append(factsOf(dpkgPackages(from)), factsOf(apkPackages(lines(from, apkDatabase)))...)
}

func factsOf(packages []InstalledPackage) []Fact {
	facts := make([]Fact, 0, len(packages))
	for _, p := range packages {
		facts = append(facts, Fact{Package, p.Key(), p.Value()})
	}
	return facts
}

// Owners holds the packages of files.
type Owners struct {
	byPath map[string]string
	sums   map[string]string // digests of files in their packages, see NewSum
}

// ReadOwners reads the databases of dpkg, ucf and apk, and runs rpm on a live machine
// that has its database. Paths are those of a system with a merged /usr. If there is
// an error, only the owners of rpm are missing.
func ReadOwners(ctx context.Context, root *rootfs.Root, live bool) (*Owners, error) {
	var run runFunc
	if live {
		run = runLocal
	}
	return readOwners(ctx, rootFiles{root}, run)
}

func readOwners(ctx context.Context, from files, run runFunc) (*Owners, error) {
	o := &Owners{map[string]string{}, map[string]string{}}
	o.addDpkg(from)
	o.addUcf(lines(from, "/var/lib/ucf/registry"), lines(from, "/var/lib/ucf/hashfile"))
	o.addApk(lines(from, apkDatabase))
	var err error
	if dir := rpmDatabase(from); run != nil && dir != "" {
		err = run(ctx, rpmQuery(dir, rpmFiles), o.addRPM)
	}
	o.addAlternatives(from)
	return o, err
}

// usrMerged returns a path as it is on a system whose /bin and /lib are links into
// /usr, as on Debian since release 12. Many packages still list the old paths.
func usrMerged(p string) string {
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/", "/lib32/", "/libx32/"} {
		if strings.HasPrefix(p, dir) {
			return "/usr" + p
		}
	}
	return p
}
