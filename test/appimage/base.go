package appimage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A base is the system that all images are built on.
type base struct {
	key   string
	root  string // its files, never written after it was made
	layer layer
}

// slim excludes files from the images that no program needs at run time.
// Debian's slim images have the same list.
const slim = `path-exclude /usr/share/doc/*
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
path-include /usr/share/doc/*/copyright
path-include /usr/share/locale/locale.alias
`

// baseRecipe must be increased when bootstrap changes its result for the same
// sources.
const baseRecipe = "3"

// noServices prevents maintainer scripts from starting services.
const noServices = "#!/bin/sh\nexit 101\n"

// prepareBase returns the base for the machine's release. It builds the base
// first if the cache has none for its package sources.
func prepareBase(ctx context.Context, dir string) (base, error) {
	suite, sources, err := packageSources(ctx)
	if err != nil {
		return base{}, err
	}
	k := key([]byte(suite), []byte(sources), []byte(slim), []byte(noServices), []byte(baseRecipe))
	own := filepath.Join(dir, "base-"+k)
	b := base{key: k, root: filepath.Join(own, "root")}
	if b.layer, err = readLayer(filepath.Join(own, "layer")); err == nil {
		return b, nil
	}
	old, err := filepath.Glob(filepath.Join(dir, "base-*"))
	if err != nil {
		return base{}, err
	}
	for _, o := range old {
		if err := os.RemoveAll(o); err != nil {
			return base{}, err
		}
	}
	if err := os.MkdirAll(own, 0o755); err != nil {
		return base{}, err
	}
	if err := bootstrap(ctx, b.root, suite, sources); err != nil {
		return base{}, err
	}
	b.layer, err = writeLayer(b.root, "", filepath.Join(own, "layer"))
	return b, err
}

// bootstrap installs the release's smallest system with apt in root.
func bootstrap(ctx context.Context, root, suite, sources string) error {
	conf, err := os.CreateTemp("", "adamant-dpkg-")
	if err != nil {
		return err
	}
	defer os.Remove(conf.Name())
	if _, err := conf.WriteString(slim); err != nil {
		return err
	}
	if err := conf.Close(); err != nil {
		return err
	}
	args := []string{"mmdebstrap", "--quiet", "--variant=minbase", "--include=apt", "--dpkgopt=" + conf.Name()}
	if host, err := aptNetwork(ctx); err != nil {
		return err
	} else if host != "" {
		args = append(args, "--aptopt="+host)
	}
	args = append(args, mergedUsr(suite)...)
	cmd := isolated(ctx, append(args, suite, root, "-")...)
	cmd.Stdin = strings.NewReader(sources)
	if err := runQuietly(cmd); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "usr/sbin/policy-rc.d"), []byte(noServices), 0o755); err != nil {
		return err
	}
	return removeVolatile(root)
}

// mergedUsr returns the options that create bookworm's merged /usr at once.
// Otherwise a package does that later, and pulls all of perl into every image.
// Later releases do this by default.
func mergedUsr(suite string) []string {
	if suite != "bookworm" {
		return nil
	}
	return []string{"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "--include=usr-is-merged"}
}

// removeVolatile removes the files that differ between two bootstraps, and the
// device nodes, because every runtime mounts its own /dev.
func removeVolatile(root string) error {
	for _, pattern := range []string{
		"dev/*", "run/adduser", "tmp/*", "var/cache/apt/*", "var/cache/debconf/*-old", "var/cache/ldconfig/*",
		"var/lib/apt/lists/*", "var/lib/dpkg/*-old", "var/log/*.log", "var/log/apt/*",
	} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := os.RemoveAll(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// packageSources returns the machine's release and those of its apt sources
// that are the distribution's archive, one "deb" line each.
func packageSources(ctx context.Context) (suite, lines string, err error) {
	if suite, err = codename(); err != nil {
		return "", "", err
	}
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask apt for its sources: %w", err)
	}
	var debs []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 5 || (f[0] != "Debian" && f[0] != "Ubuntu") || !ofRelease(f[1], suite) {
			continue
		}
		if f[4] != "main" && f[4] != "universe" {
			continue
		}
		keyring := "/usr/share/keyrings/" + strings.ToLower(f[0]) + "-archive-keyring.gpg"
		debs = append(debs, fmt.Sprintf("deb [signed-by=%q] %s %s %s\n", keyring, f[2], f[3], f[4]))
	}
	if len(debs) == 0 {
		return "", "", fmt.Errorf("apt knows no source of %s; run apt-get update", suite)
	}
	slices.Sort(debs)
	return suite, strings.Join(slices.Compact(debs), ""), nil
}

func ofRelease(name, suite string) bool {
	return name == suite || strings.HasPrefix(name, suite+"-")
}

// codename returns the release's name, such as "bookworm", from os-release(5).
func codename() (string, error) {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(v, `"`), nil
		}
	}
	return "", errors.New("/etc/os-release has no VERSION_CODENAME; images are built on Debian and Ubuntu only")
}

// aptNetwork returns the machine's apt settings for the network, such as a
// proxy, as lines of an apt configuration.
func aptNetwork(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-config", "dump", "--no-empty", "--format", `%f "%v";%n`,
		"Acquire::http::Proxy", "Acquire::https::Proxy").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its configuration: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// isolated returns a command in its own mount and process namespaces, so that
// none of its mounts and processes is left when it ends.
func isolated(ctx context.Context, args ...string) *exec.Cmd {
	unshare := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"}
	return exec.CommandContext(ctx, "unshare", append(unshare, args...)...)
}

// runQuietly runs a command and shows its output only if it fails.
func runQuietly(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(out.String(), 40))
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.SplitAfter(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
