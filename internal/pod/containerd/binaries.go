package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// BinDirEnv names a directory that is searched before all others for
// containerd, its shim and runc.
const BinDirEnv = "ADAMANT_CONTAINERD_BIN"

// Binaries are the programs that a private containerd needs, which come from
// the machine's packages. The paths are absolute.
type Binaries struct {
	Containerd string // the daemon
	Shim       string // containerd-shim-runc-v2
	Runc       string
	CNI        string // directory of the CNI plugins
	Iptables   string // empty if missing: no masquerading and no host ports

	Version     Version // of containerd
	RuncVersion string  // first line of `runc --version`, "runc version 1.1.5"
}

// A Version is the version of containerd.
type Version struct {
	Major, Minor int
	Text         string // as printed: "1.6.20~ds1", "v2.4.2"
}

func (v Version) String() string { return v.Text }

// A Missing is a program that a private containerd needs and that was not found.
type Missing struct {
	Part string // "containerd", "runc", "CNI plugin bridge"
	Mend string // command that installs it: "apt-get install runc"
}

// A MissingError lists every program that Find did not find.
type MissingError struct{ Parts []Missing }

func (e *MissingError) Error() string {
	parts := make([]string, len(e.Parts))
	for i, p := range e.Parts {
		parts[i] = p.Part
	}
	return fmt.Sprintf("missing: %s (%s)", strings.Join(parts, ", "), strings.Join(e.Mends(), "; "))
}

// Mends returns the commands that install the missing programs, each once.
func (e *MissingError) Mends() []string {
	var mends []string
	seen := map[string]bool{}
	for _, p := range e.Parts {
		if !seen[p.Mend] {
			seen[p.Mend] = true
			mends = append(mends, p.Mend)
		}
	}
	return mends
}

// systemPath lists directories that may not be in the PATH of a daemon.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// cniDirs are the directories of CNI plugins: of the upstream archives, of
// Debian and of Fedora.
var cniDirs = []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"}

// cniNeeded are the CNI plugins of the pods' network.
var cniNeeded = []string{"bridge", "host-local", "loopback", "portmap"}

// Find finds the programs on this machine and their versions. If programs are
// missing, the error is a *MissingError that lists all of them.
func Find(ctx context.Context) (Binaries, error) {
	b, err := locate()
	if err != nil {
		return Binaries{}, err
	}
	return b, b.versions(ctx)
}

// locate is Find without the versions, for which programs must be run.
func locate() (Binaries, error) {
	var b Binaries
	var missing MissingError
	need := func(name, mend string) string {
		path := lookPath(name)
		if path == "" {
			missing.Parts = append(missing.Parts, Missing{name, mend})
		}
		return path
	}
	b.Containerd = need("containerd", mendContainerd())
	b.Shim = need("containerd-shim-runc-v2", mendContainerd())
	b.Runc = need("runc", mendRunc())
	b.Iptables = lookPath("iptables")
	b.CNI = findCNI(&missing)
	if len(missing.Parts) > 0 {
		return Binaries{}, &missing
	}
	return b, nil
}

// path returns the PATH of the daemon and the processes that it starts. The
// directories of the programs that were found come first.
func (b Binaries) path() string {
	dirs := []string{filepath.Dir(b.Containerd), filepath.Dir(b.Shim), filepath.Dir(b.Runc)}
	return strings.Join(dirs, ":") + ":" + systemPath
}

func (b *Binaries) versions(ctx context.Context) error {
	out, err := output(ctx, b.Containerd, "--version")
	if err != nil {
		return err
	}
	if b.Version, err = parseVersion(out); err != nil {
		return err
	}
	if b.Version.Major < 1 || b.Version.Major == 1 && b.Version.Minor < 6 {
		return fmt.Errorf("%s is release %s, want 1.6 or newer", b.Containerd, b.Version)
	}
	if out, err = output(ctx, b.Runc, "--version"); err != nil {
		return err
	}
	b.RuncVersion, _, _ = strings.Cut(out, "\n")
	return nil
}

var versionPattern = regexp.MustCompile(`\bv?(\d{1,4})\.(\d{1,4})[^\s]*`)

// parseVersion parses the output of containerd --version, such as "containerd
// github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1". The version of a
// build from the module proxy is "v2.4.2" or "2.4.2+unknown".
func parseVersion(out string) (Version, error) {
	m := versionPattern.FindStringSubmatch(out)
	if m == nil {
		return Version{}, fmt.Errorf("containerd's version: cannot read %q", out)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return Version{Major: major, Minor: minor, Text: m[0]}, nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// lookPath finds a program in the directory of BinDirEnv, in PATH, and in the
// directories of systemPath.
func lookPath(name string) string {
	dirs := filepath.SplitList(os.Getenv("PATH") + ":" + systemPath)
	if dir := os.Getenv(BinDirEnv); dir != "" {
		dirs = append([]string{dir}, dirs...)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && filepath.IsAbs(path) {
			return path
		}
	}
	return ""
}

// findCNI returns the first directory with all needed plugins. If there is none,
// it adds to missing the plugins that the most complete directory lacks.
func findCNI(missing *MissingError) string {
	var lacks []string
	for _, dir := range cniDirs {
		var l []string
		for _, plugin := range cniNeeded {
			if _, err := os.Stat(filepath.Join(dir, plugin)); err != nil {
				l = append(l, plugin)
			}
		}
		if len(l) == 0 {
			return dir
		}
		if lacks == nil || len(l) < len(lacks) {
			lacks = l
		}
	}
	for _, plugin := range lacks {
		missing.Parts = append(missing.Parts, Missing{"CNI plugin " + plugin, install("containernetworking-plugins")})
	}
	return ""
}

// mendContainerd returns the command that installs containerd. Docker's package
// containerd.io contains it, and conflicts with Debian's package: installing that
// would remove Docker.
func mendContainerd() string {
	if dockerPackage() {
		return "apt-get install --reinstall containerd.io"
	}
	return install("containerd")
}

func mendRunc() string {
	if dockerPackage() {
		return "apt-get install --reinstall containerd.io" // runc is in it
	}
	return install("runc")
}

func dockerPackage() bool {
	_, err := os.Stat("/var/lib/dpkg/info/containerd.io.list")
	return err == nil
}

// install returns the command of this machine's package manager.
func install(pkg string) string {
	for _, m := range []struct{ tool, command string }{
		{"apt-get", "apt-get install "}, {"dnf", "dnf install "}, {"zypper", "zypper install "}, {"pacman", "pacman -S "}, {"apk", "apk add "},
	} {
		if _, err := exec.LookPath(m.tool); err == nil || !errors.Is(err, exec.ErrNotFound) {
			return m.command + pkg
		}
	}
	return "install " + pkg
}
