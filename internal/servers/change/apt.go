package change

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// aptGet is how apt-get is asked: edited configuration stays as it is, and nobody
// answers questions.
var aptGet = []string{
	"-y", "-q", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=60",
	"-o", "Dpkg::Use-Pty=0",
}

// install brings packages to the versions that are asked for.
func (c *runner) install(ctx context.Context, out *tailBuffer) error {
	if len(c.job.Packages) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("the server has no apt-get, and no other package manager is known; say it with --run")
	}
	// Without new lists a new version may be missing, but an old one that is there
	// can be had without a network: whether it matters is seen below.
	lists := &tailBuffer{max: maxOutput}
	listsErr := runProgram(ctx, lists, "apt-get", append(slices.Clone(aptGet), "update")...)
	args := append(slices.Clone(aptGet), "--allow-downgrades", "install", "--")
	for _, p := range c.job.Packages {
		args = append(args, p.String())
	}
	err := runProgram(ctx, out, "apt-get", args...)
	if err == nil {
		return nil
	}
	why := commandError(out.String(), err, "apt-get")
	if listsErr != nil || strings.Contains(lists.String(), "\nW: Failed to fetch") || strings.Contains(lists.String(), "\nErr:") {
		why = fmt.Errorf("%w; its lists are old: %s", why, Cause(lists.String()))
	}
	return c.nameHeld(why)
}

// held names the held packages where they are the reason.
func (c *runner) nameHeld(why error) error {
	text := why.Error()
	if !strings.Contains(text, "held") && !strings.Contains(text, "needs ") && !strings.Contains(text, "cannot be installed") {
		return why
	}
	var held []string
	list, _ := facts.Facts(context.Background(), c.root, false) // apt-get's packages are in files
	for _, f := range list {
		if f.Section == facts.Package && strings.HasSuffix(f.Value, "(held)") {
			held = append(held, f.Key)
		}
	}
	switch len(held) {
	case 0:
		return why
	case 1:
		return fmt.Errorf("%s is held: %w", held[0], why)
	}
	return fmt.Errorf("%s are held: %w", strings.Join(held, ", "), why)
}

// wrong says why a package is not as it was asked for; nothing if it is.
func mismatch(p PackageSpec, list []facts.Fact) string {
	for _, f := range list {
		name, _, _ := strings.Cut(f.Key, ":")
		if f.Section != facts.Package || name != p.Name && f.Key != p.Name {
			continue
		}
		version := strings.TrimSuffix(f.Value, " (held)")
		if p.Version == "" && !strings.Contains(version, "(") || version == p.Version {
			return ""
		}
		return fmt.Sprintf("%s is %s, not %s", p.Name, f.Value, p.Version)
	}
	return p.Name + " is not installed"
}
