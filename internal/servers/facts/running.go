package facts

import (
	"context"
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// systemctlUnits is the command that prints the units for runningFacts.
var systemctlUnits = []string{
	"systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full", "--type=service,socket,timer",
}

// bootedDir exists if the machine was booted with systemd: sd_booted(3).
const bootedDir = "/run/systemd/system"

// isBooted reports whether systemd is the first process of a root's machine.
func isBooted(root *rootfs.Root) bool {
	e, err := root.Lstat(bootedDir)
	return err == nil && e.Kind == tree.Directory
}

// readRunning asks systemd, if it is running, for the states of units.
func readRunning(ctx context.Context, m machine) ([]Fact, []Unknown) {
	if !m.booted || m.run == nil {
		return nil, nil
	}
	var facts []Fact
	err := m.run(ctx, systemctlUnits, func(r io.Reader) error {
		text, err := textOf(r)
		facts = runningFacts(text)
		return err
	})
	if err == nil && len(facts) == 0 {
		err = errors.New("systemctl lists no units")
	}
	if err != nil {
		return nil, []Unknown{{Path: bootedDir, Reason: "which units run: " + err.Error(), Section: Running}}
	}
	return facts, nil
}

// runningFacts reads the output of systemctlUnits. It keeps the units that are equal
// on equal servers: those that are active, and those that failed. Inactive units are
// left out, because systemd lists them only while something refers to them, and so
// are those that are starting or stopping, because they change in a moment.
func runningFacts(text string) []Fact {
	var facts []Fact
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 0 && !strings.Contains(f[0], ".") {
			f = f[1:] // old releases print a bullet before a failed unit
		}
		if len(f) < 4 || isTransient(f[0]) {
			continue
		}
		if state := stateOf(path.Ext(f[0]), f[1], f[2], f[3]); state != "" {
			facts = append(facts, Fact{Running, f[0], state})
		}
	}
	return facts
}

// stateOf returns the state of a unit, empty if it is inactive or changing. Sockets and
// timers are just active: their substates, such as "listening" and "running", depend on
// the last event.
func stateOf(kind, load, active, sub string) string {
	switch {
	case active == "failed":
		return "failed"
	case sub == "auto-restart", sub == "auto-restart-queued":
		return "fails and is restarted"
	case active != "active" && active != "reloading":
		if load == "error" || load == "bad-setting" {
			return "cannot be loaded (" + load + ")"
		}
		return ""
	case kind == ".socket" || kind == ".timer":
		return "active"
	case active == "reloading", sub == "reload", sub == "reload-signal", sub == "reload-notify":
		return "active (running)"
	}
	return "active (" + sub + ")"
}

// transient matches the units of a login, a connection, one run of a program, or a disk
// by its UUID. No two servers have the same.
var transient = regexp.MustCompile(`^(user|user-runtime-dir)@|^run-|^session-|^dbus-:|\\x2duuid|@\d+-|^init\.scope|^cockpit-wsinstance|^adamant-change-`)

// onDemand are services that D-Bus starts on a request, and that end when idle.
var onDemand = []string{
	"NetworkManager-dispatcher", "accounts-daemon", "bolt", "colord", "fprintd", "fwupd", "geoclue", "packagekit", "polkit",
	"power-profiles-daemon", "realmd", "rpm-ostreed", "rtkit-daemon", "setroubleshootd", "switcheroo-control", "systemd-hostnamed",
	"systemd-importd", "systemd-localed", "systemd-machined", "systemd-portabled", "systemd-timedated", "timedatex", "udisks2", "upower",
}

func isTransient(unit string) bool { return transient.MatchString(unit) }

// withoutOnDemand drops the facts of active services that run on demand only: over
// D-Bus, or for a socket or a timer without being enabled themselves. Whether they run
// at this moment is chance. Failures are kept.
func withoutOnDemand(facts []Fact) []Fact {
	has := map[Fact]bool{}
	for _, f := range facts {
		has[f] = true
	}
	return slices.DeleteFunc(facts, func(f Fact) bool {
		name, isService := strings.CutSuffix(f.Key, ".service")
		if f.Section != Running || !isService || !strings.HasPrefix(f.Value, "active") {
			return false
		}
		// An enabled service runs from the start, with or without its socket.
		triggered := has[Fact{Running, name + ".socket", "active"}] || has[Fact{Running, name + ".timer", "active"}]
		return slices.Contains(onDemand, name) || triggered && !has[Fact{Service, f.Key, "enabled"}]
	})
}
