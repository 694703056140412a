package change

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// apt is the packageManager of Debian and its derivatives. It uses apt-get(8), because
// apt(8) warns that its command line may change.
type apt struct{ root *rootfs.Root }

// aptOptions make apt-get answer every question itself. Configuration files that
// were edited are kept, because an update must not undo what a person configured.
var aptOptions = []string{
	"-y", "-q", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=60",
	"-o", "Dpkg::Use-Pty=0",
}

func aptGet(ctx context.Context, out *tailBuffer, args ...string) error {
	return programError("apt-get", runProgram(ctx, out, "apt-get", append(slices.Clone(aptOptions), args...)...))
}

func (a apt) refresh(ctx context.Context) error {
	out := &tailBuffer{max: maxOutput}
	err := aptGet(ctx, out, "update")
	// apt-get update exits with 0 if it could not reach a repository, but has older
	// lists of it.
	if err == nil && !strings.Contains(out.String(), "\nW: Failed to fetch") && !strings.Contains(out.String(), "\nErr:") {
		return nil
	}
	return errors.New(explain(out.String()))
}

func (a apt) install(ctx context.Context, t transaction, out *tailBuffer) error {
	args := []string{"--allow-downgrades"}
	if t.changeHeld {
		args = append(args, "--allow-change-held-packages")
	}
	args = append(args, "install", "--")
	for _, p := range t.install {
		args = append(args, p.String())
	}
	for _, name := range t.remove {
		args = append(args, name+"-") // in the same run, because an installed package may conflict with it
	}
	return aptGet(ctx, out, args...)
}

func (a apt) versions(context.Context) ([]facts.InstalledPackage, error) {
	return facts.DpkgPackages(a.root), nil
}

func (a apt) held(context.Context) ([]string, error) {
	var held []string
	for _, p := range facts.DpkgPackages(a.root) {
		if p.State == facts.Held {
			held = append(held, p.Key())
		}
	}
	return held, nil
}

// aptUnmet matches a dependency that apt-get cannot satisfy. It is more precise than
// the last line of the output, which only mentions that there is one.
var aptUnmet = regexp.MustCompile(`(?m)^ *(\S+) : (?:Pre-)?Depends: ([^\n]*?) but (.*)$`)

// aptHolds match messages whose reason can be a held package.
var aptHolds = []cause{
	{regexp.MustCompile(`(?m)^E: Held packages were changed`), "a package that it must change is held"},
	{regexp.MustCompile(`(?m)^E: Unable to correct problems, you have held broken packages`), "what it depends on cannot be installed"},
}

// aptCauses are in the order in which they count. A repository that cannot be reached
// comes before a file of it that cannot be fetched.
var aptCauses = slices.Concat(
	[]cause{
		{regexp.MustCompile(`(?m)[Yy]ou don't have enough free space in (\S+?)\.?$`), "the disk is full: not enough space in $1"},
		{regexp.MustCompile(`(?m)Could not get lock (\S+?)\.`), "another package manager is at work: it holds $1"},
		{regexp.MustCompile(`(?m)dpkg was interrupted, you must manually run`), "an earlier update was interrupted: dpkg --configure -a finishes it"},
		{regexp.MustCompile(`(?m)^E: Version '([^']*)' for '([^']*)' was not found`), "no repository of the server has $2 $1"},
		{regexp.MustCompile(`(?m)^E: Unable to locate package (\S+)`), "no repository of the server has $1"},
	},
	aptHolds,
	[]cause{{regexp.MustCompile(`(?m)^E: Package '?([^ ']+)'? has no installation candidate`), "no repository of the server has $1"}},
	networkCauses,
	[]cause{
		{regexp.MustCompile(`(?m)Hash Sum mismatch`), "a repository's files do not match its lists"},
		{regexp.MustCompile(`(?m)^E: Failed to fetch (\S+) +(.*)$`), "cannot fetch $1: $2"},
		{regexp.MustCompile(`(?m)^dpkg: error processing (?:package|archive) (\S+)`), "the package's own scripts failed for $1"},
		{regexp.MustCompile(`(?m)^Sub-process .* returned an error code`), "the package's own scripts failed"},
	},
)

func (a apt) explain(output string) (text string, mayBeHeld bool) {
	if m := aptUnmet.FindStringSubmatch(output); m != nil {
		return m[1] + " needs " + m[2] + ", but " + strings.TrimSuffix(m[3], " or"), true
	}
	return findCause(aptCauses, output), findCause(aptHolds, output) != ""
}
