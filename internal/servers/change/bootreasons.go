package change

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// rebootReasons returns why the machine needs a reboot, nothing if it does not. An error
// means that there may be reasons beyond those returned.
func rebootReasons(ctx context.Context) (reasons []string, err error) {
	if _, err := os.Stat("/run/reboot-required"); err == nil {
		reasons = append(reasons, requiredBy("/run/reboot-required.pkgs"))
	}
	kernel, err := runningKernel()
	if err != nil {
		return reasons, err
	}
	if reason, err := modulesReason("/", kernel); err != nil || reason != "" {
		return append(reasons, nonEmpty(reason)...), err
	}
	reason, err := rpmReason(ctx, kernel)
	return append(reasons, nonEmpty(reason)...), err
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// maxNamed bounds the packages that a reason names.
const maxNamed = 10

// requiredBy names the packages that requested a reboot on Debian (update-notifier).
func requiredBy(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "a package requested a reboot" // the list is optional
	}
	var names []string
	seen := map[string]bool{}
	for _, name := range strings.Fields(string(text)) {
		if isWord(name) && !seen[name] && len(names) < maxNamed {
			seen[name] = true
			names = append(names, name)
		}
	}
	return cmp.Or(strings.Join(names, ", "), "a package") + " requested a reboot"
}

func runningKernel() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("which kernel is running: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

// modulesReason returns a reason if the modules of the running kernel are gone, because
// an update replaced them, as on Alpine. A machine without any modules is not concerned:
// its kernel is not from its packages.
func modulesReason(root, kernel string) (string, error) {
	found := false
	for _, dir := range []string{"lib/modules", "usr/lib/modules"} {
		kernels, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", describe("which kernels are installed", err)
		}
		for _, k := range kernels {
			if k.Name() == kernel {
				return "", nil
			}
			found = found || k.IsDir()
		}
	}
	if !found {
		return "", nil
	}
	return "the modules of the running kernel " + kernel + " are gone", nil
}

// rpmReason returns a reason for a reboot on a machine whose packages are of rpm.
func rpmReason(ctx context.Context, kernel string) (string, error) {
	if _, err := exec.LookPath("needs-restarting"); err == nil {
		out := &tailBuffer{max: maxOutput}
		return needsRestarting(out, runProgram(ctx, out, "needs-restarting", "-r"))
	}
	if _, err := exec.LookPath("rpm"); err != nil {
		return "", nil
	}
	// rpm exits with 1 if one of the packages is not installed.
	cmd := exec.CommandContext(ctx, "rpm", "-q", "--queryformat", `%{INSTALLTIME} %{VERSION}-%{RELEASE}.%{ARCH}\n`, "kernel-core", "kernel", "kernel-default")
	cmd.Env = environment
	text, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("which kernels are installed: %w", err)
	}
	return newestKernelReason(string(text), kernel), nil
}

// needsRestarting reads the result of needs-restarting -r, which exits with 1 if a reboot
// is needed, and also if it fails.
func needsRestarting(out *tailBuffer, err error) (string, error) {
	if err == nil {
		return "", nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(out.String(), "Reboot is required") {
		var names []string
		for line := range strings.Lines(out.String()) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "* "); ok && isWord(name) && len(names) < maxNamed {
				names = append(names, name)
			}
		}
		return cmp.Or(strings.Join(names, ", "), "a package") + " was updated since the boot", nil
	}
	return "", fmt.Errorf("whether a reboot is needed: %w", withCause(programError("needs-restarting -r", err), out.String()))
}

// newestKernelReason reads lines of INSTALLTIME VERSION. The kernel that was installed
// last is the one of the next boot.
func newestKernelReason(text, running string) string {
	newest, at := "", 0
	for line := range strings.Lines(text) {
		var installed int
		var version string
		if n, _ := fmt.Sscanf(line, "%d %s", &installed, &version); n == 2 && installed > at {
			newest, at = version, installed
		}
	}
	if newest == "" || newest == running {
		return ""
	}
	return "kernel " + newest + " is installed, and " + running + " is running"
}
