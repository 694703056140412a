package reach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A unit is the state of a unit of systemd.
type unit struct {
	Active     string `json:"active"`               // ActiveState, such as active and failed
	Invocation string `json:"invocation,omitempty"` // differs after each start
	Changed    string `json:"changed,omitempty"`    // when the state changed last, in µs after the boot; a reload changes it
	Frozen     bool   `json:"frozen,omitempty"`
	Triggered  bool   `json:"triggered,omitempty"` // by a timer, a socket or a path
}

// unitProperties are the properties that readUnits asks for.
const unitProperties = "Id,ActiveState,InvocationID,StateChangeTimestampMonotonic,FreezerState,TriggeredBy"

// Booted reports whether systemd is the first process: sd_booted(3).
func Booted() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// AwaitBoot waits until systemd has started the units of the boot, or until the context
// ends.
func AwaitBoot(ctx context.Context) {
	for Booted() && ctx.Err() == nil {
		jobs, err := output(ctx, "systemctl", "list-jobs", "--no-legend", "--plain")
		if err == nil && strings.TrimSpace(jobs) == "" {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// IsStopping reports whether the machine is shutting down. systemd then answers nobody
// after a while.
func IsStopping(ctx context.Context) bool {
	if !Booted() {
		return false
	}
	// The state is printed also by an exit code other than 0.
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "is-system-running")
	cmd.Env = environment
	out, err := cmd.CombinedOutput()
	return err != nil && (strings.HasPrefix(string(out), "stopping") || strings.Contains(string(out), "Failed to connect to bus"))
}

// readUnits returns the units that systemd has loaded, none without systemd.
func readUnits(ctx context.Context) (map[string]unit, error) {
	if !Booted() {
		return nil, nil
	}
	text, err := output(ctx, "systemctl", "show", "--no-pager", "--property="+unitProperties, "*")
	if err != nil {
		return nil, err
	}
	units := parseUnits(text)
	if len(units) == 0 {
		return nil, errors.New("systemctl lists no units")
	}
	return units, nil
}

// parseUnits reads the output of systemctl show: a block of NAME=VALUE for each unit.
func parseUnits(text string) map[string]unit {
	units := map[string]unit{}
	for block := range strings.SplitSeq(text, "\n\n") {
		value := map[string]string{}
		for line := range strings.Lines(block) {
			name, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			value[name] = v
		}
		if name := value["Id"]; isRestorable(name) {
			units[name] = unit{
				Active: value["ActiveState"], Invocation: value["InvocationID"], Changed: value["StateChangeTimestampMonotonic"],
				Frozen: value["FreezerState"] == "frozen", Triggered: value["TriggeredBy"] != "",
			}
		}
	}
	return units
}

// transientUnits matches the units of a login, a connection, or one run of a program.
var transientUnits = regexp.MustCompile(`^(user|user-runtime-dir)@|^session-|^dbus-:|@\d+-`)

// restorableKinds are the kinds of units that can be started and stopped. Mounts are
// restored from the mount table.
var restorableKinds = []string{".service", ".socket", ".timer", ".path", ".automount", ".target"}

func isRestorable(name string) bool {
	return slices.Contains(restorableKinds, path.Ext(name)) && !transientUnits.MatchString(name) && !strings.HasPrefix(name, OwnUnit)
}

// OwnUnit is the prefix of the units that carry out changes.
const OwnUnit = "adamant-change"

// A unitPlan is the actions that make units those that were recorded.
type unitPlan struct {
	thaw, stop, start []string
	// refresh are units that were started again or reloaded since, with a
	// configuration that is no longer there.
	refresh []string
}

// planUnits compares units. Targets are not stopped, because that would stop what they
// require; nor are services that a timer or a socket started, because they end again.
func planUnits(before, now map[string]unit) (p unitPlan) {
	for _, name := range keys(before, now) {
		b, n := before[name], now[name]
		was, is := b.Active == "active" || b.Active == "reloading", n.Active == "active" || n.Active == "reloading"
		switch kind := path.Ext(name); {
		case n.Frozen && !b.Frozen:
			p.thaw = append(p.thaw, name)
		case was && !is:
			p.start = append(p.start, name)
		case !was && is && kind != ".target" && !n.Triggered && b.Active != "activating":
			p.stop = append(p.stop, name)
		case was && is && kind == ".service" && (b.Invocation != n.Invocation || b.Changed != n.Changed) && !keepsRunning(name):
			p.refresh = append(p.refresh, name)
		}
	}
	return p
}

// keepsRunning reports whether a service must not be started again. Without dbus and
// logind, systemctl and logins fail for a while.
func keepsRunning(name string) bool {
	return name == "dbus.service" || name == "dbus-broker.service" || name == "systemd-logind.service"
}

// restoreUnits makes the units those that were recorded. Their files must have been
// restored.
func restoreUnits(ctx context.Context, before map[string]unit) error {
	if !Booted() || before == nil {
		return nil
	}
	var errs []error
	run := func(verb string, names []string) {
		for _, name := range names { // one that fails or blocks must not affect the others
			if _, err := output(ctx, "systemctl", verb, name); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if _, err := output(ctx, "systemctl", "daemon-reload"); err != nil {
		errs = append(errs, err)
	}
	now, err := readUnits(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	p := planUnits(before, now)
	run("thaw", p.thaw)
	run("stop", p.stop)
	run("reset-failed", failed(now, p.start)) // a unit that failed too often cannot be started
	run("start", p.start)
	run("reload-or-restart", p.refresh)
	return errors.Join(errs...)
}

func failed(units map[string]unit, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return units[name].Active != "failed" })
}

func unitDifference(before, now map[string]unit) (left []string) {
	if before == nil || now == nil {
		return nil
	}
	p := planUnits(before, now)
	for _, l := range []struct {
		names []string
		state string
	}{{p.thaw, "frozen"}, {p.stop, "active"}, {p.start, "not active"}} {
		for _, name := range l.names {
			left = append(left, fmt.Sprintf("unit %s: %s", name, l.state))
		}
	}
	return left
}
