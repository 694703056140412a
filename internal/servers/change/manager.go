package change

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A packageManager changes the packages of the machine that it runs on. Every
// implementation passes TestPackageManagers.
//
// Names of packages may end in a colon and an architecture, as the keys of facts.
type packageManager interface {
	// refresh gets the current lists of the repositories. It is not an error if
	// there is nothing new.
	refresh(ctx context.Context) error
	// install carries out a transaction and writes the output of its program to out.
	install(ctx context.Context, t transaction, out *tailBuffer) error
	// versions returns the packages in the manager's database, also those that are
	// only partly installed.
	versions(ctx context.Context) ([]facts.InstalledPackage, error)
	// held returns the keys of the packages that stay at their version.
	held(ctx context.Context) ([]string, error)
	// explain finds the cause of a failure in a program's output, empty if that is
	// not known. mayBeHeld reports whether a held package can be the reason.
	explain(output string) (cause string, mayBeHeld bool)
}

// A transaction is the changes of packages that are made together.
type transaction struct {
	install []PackageSpec
	remove  []string
	// changeHeld permits changes of held packages. Only an undo has it: the change
	// that it takes back has changed them, and a person held the version from before.
	changeHeld bool
}

// packageManagers are the known ones. The first whose program is found is used.
var packageManagers = []struct {
	program string
	open    func(root *rootfs.Root) packageManager
}{
	{"apt-get", func(root *rootfs.Root) packageManager { return apt{root} }},
}

func findPackageManager(root *rootfs.Root) (packageManager, error) {
	var programs []string
	for _, m := range packageManagers {
		if _, err := exec.LookPath(m.program); err == nil {
			return m.open(root), nil
		}
		programs = append(programs, m.program)
	}
	return nil, fmt.Errorf("no known package manager (%s) is on the server: use --run", strings.Join(programs, ", "))
}

// installPackages brings packages to the versions that are asked for.
func (r *runner) installPackages(ctx context.Context, out *tailBuffer) (err error) {
	if len(r.job.Packages) == 0 {
		return nil
	}
	if r.packages, err = findPackageManager(r.root); err != nil {
		return err
	}
	// Without current lists a new version may be missing, but an old one that is in
	// the cache can be installed without a network. So a failed refresh only matters
	// if the installation fails.
	refreshErr := r.packages.refresh(ctx)
	err = r.packages.install(ctx, transaction{install: r.job.Packages}, out)
	if err == nil {
		return nil
	}
	err = withCause(err, out.String())
	if refreshErr != nil {
		err = fmt.Errorf("%w; the repository lists are old: %w", err, refreshErr)
	}
	if _, mayBeHeld := r.packages.explain(out.String()); mayBeHeld {
		err = addHeld(ctx, r.packages, err)
	}
	return err
}

// addHeld names the held packages in an error. A package manager reports only what
// it could not install, but a person has to know which hold to remove.
func addHeld(ctx context.Context, m packageManager, err error) error {
	held, heldErr := m.held(ctx)
	switch {
	case heldErr != nil || len(held) == 0:
		return err
	case len(held) == 1:
		return fmt.Errorf("%s is held: %w", held[0], err)
	}
	return fmt.Errorf("%s are held: %w", strings.Join(held, ", "), err)
}

// checkPackages compares the installed packages with those that were asked for. The
// exit code of a package manager is not enough: scripts that run after the installation
// may change packages again.
func (r *runner) checkPackages(ctx context.Context) error {
	if r.packages == nil {
		return nil
	}
	installed, err := r.packages.versions(ctx)
	if err != nil {
		return describe("read packages", err)
	}
	for _, p := range r.job.Packages {
		if err := p.check(installed); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error if a package is not as it was asked for.
func (p PackageSpec) check(installed []facts.InstalledPackage) error {
	for _, pkg := range installed {
		switch {
		case pkg.Name != p.Name && pkg.Key() != p.Name:
			continue
		case p.Version == "" && pkg.IsInstalled(), p.Version != "" && pkg.Version == p.Version && pkg.IsInstalled():
			return nil
		case p.Version == "":
			return fmt.Errorf("%s is %s, not installed", p.Name, pkg.Value())
		}
		return fmt.Errorf("%s is %s, not %s", p.Name, pkg.Value(), p.Version)
	}
	return fmt.Errorf("%s is not installed", p.Name)
}
