package change

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	server "github.com/adamant-sh/adamant/internal/servers/facts"
)

// aptGet is how apt-get is asked: edited configuration stays as it is, and nobody
// answers questions.
var aptGet = []string{
	"-y", "-q", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=60",
	"-o", "Dpkg::Use-Pty=0",
}

// install brings packages to the versions that are asked for.
func (c *Carrier) install(ctx context.Context, out *tail) error {
	if len(c.job.Packages) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("the server has no apt-get, and no other package manager is known; say it with --run")
	}
	// Without new lists a new version may be missing, but an old one that is there
	// can be had without a network: whether it matters is seen below.
	lists := &tail{most: maxOutput}
	listsErr := execute(ctx, lists, "apt-get", append(slices.Clone(aptGet), "update")...)
	args := append(slices.Clone(aptGet), "--allow-downgrades", "install", "--")
	for _, p := range c.job.Packages {
		args = append(args, p.String())
	}
	err := execute(ctx, out, "apt-get", args...)
	if err == nil {
		return nil
	}
	why := because(out.String(), err, "apt-get")
	if listsErr != nil || strings.Contains(lists.String(), "\nW: Failed to fetch") || strings.Contains(lists.String(), "\nErr:") {
		why = fmt.Errorf("%w; its lists are old: %s", why, Cause(lists.String()))
	}
	return c.held(why)
}

// held names the held packages where they are the reason.
func (c *Carrier) held(why error) error {
	text := why.Error()
	if !strings.Contains(text, "held") && !strings.Contains(text, "needs ") && !strings.Contains(text, "cannot be installed") {
		return why
	}
	var held []string
	facts, _ := server.Facts(context.Background(), c.root, false) // apt-get's packages are in files
	for _, f := range facts {
		if f.Section == server.Package && strings.HasSuffix(f.Value, "(held)") {
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
func wrong(p Package, facts []server.Fact) string {
	for _, f := range facts {
		name, _, _ := strings.Cut(f.Key, ":")
		if f.Section != server.Package || name != p.Name && f.Key != p.Name {
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
