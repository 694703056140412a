package change

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/reach"
)

// A RebootMode configures whether a server reboots after a change.
type RebootMode string

// The modes of reboots. The empty mode is RebootNever.
const (
	RebootNever    RebootMode = "never"
	RebootIfNeeded RebootMode = "if-needed"
	RebootAlways   RebootMode = "always"
)

// A Boot describes the time since a server was started.
type Boot struct {
	ID      string   `json:"id"`                // differs for each boot
	Reasons []string `json:"reasons,omitempty"` // for a reboot, none if it needs none
	Unknown string   `json:"unknown,omitempty"` // why it is not known whether it needs one
	// Units are the active services, sockets and timers that should be active again after a
	// reboot. NoUnits is why they are not known.
	Units    []string `json:"units,omitempty"`
	NoUnits  string   `json:"noUnits,omitempty"`
	Starting bool     `json:"starting,omitempty"` // not all units have been started yet
	Refused  string   `json:"refused,omitempty"`  // why a reboot that was requested is impossible
}

// errBootID is returned if the kernel does not report the id of the boot.
var errBootID = errors.New("the id of the boot cannot be read")

// bootReadTimeout bounds the programs that ReadBoot and RequestReboot run.
const bootReadTimeout = time.Minute

// ReadBoot describes the current boot of the machine.
func ReadBoot(ctx context.Context) (Boot, error) {
	ctx, cancel := context.WithTimeout(ctx, bootReadTimeout)
	defer cancel()
	id := reach.BootID()
	if id == "" {
		return Boot{}, errBootID
	}
	b := Boot{ID: id}
	var err error
	if b.Reasons, err = rebootReasons(ctx); err != nil {
		b.Unknown = err.Error()
	}
	if b.Units, b.Starting, err = bootUnits(ctx); err != nil {
		b.NoUnits = err.Error()
	}
	return b, nil
}

// RequestReboot reboots the machine and returns before that happens. It does nothing
// after a reboot since the boot with an id, so that a caller whose connection was lost can
// request the reboot again.
func RequestReboot(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, bootReadTimeout)
	defer cancel()
	switch reach.BootID() {
	case "":
		return errBootID
	case id:
		return reach.Reboot(ctx)
	}
	return nil
}

// openRC is the directory of the state of OpenRC, the service manager of Alpine.
const openRC = "/run/openrc"

// bootUnits returns the units that should be active again after a reboot, and whether the
// service manager is still starting units.
func bootUnits(ctx context.Context) (units []string, starting bool, err error) {
	if reach.Booted() {
		return systemdUnits(ctx)
	}
	started, err := os.ReadDir(openRC + "/started")
	if err != nil {
		return nil, false, errors.New("the server has neither systemd nor OpenRC")
	}
	for _, s := range started {
		units = append(units, s.Name())
	}
	_, err = os.Stat(openRC + "/rc.starting")
	return units, err == nil, nil
}

func systemdUnits(ctx context.Context) ([]string, bool, error) {
	// The exit code depends on the state, which is read from the output instead.
	state := &tailBuffer{max: maxOutput}
	_ = runProgram(ctx, state, "systemctl", "is-system-running")
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--no-pager", "--property=Id,ActiveState,UnitFileState,TriggeredBy,BusName",
		"*.service", "*.socket", "*.timer")
	cmd.Env = environment
	text, err := cmd.Output()
	if err != nil {
		return nil, false, fmt.Errorf("which units are active: %w", programError("systemctl show", err))
	}
	current := strings.TrimSpace(state.String())
	return unitsToReturn(string(text)), current == "starting" || current == "initializing", nil
}

// unitsToReturn reads the output of systemctl show. It leaves out units that belong to a
// login, units that exist only until they are stopped, and units that are started on
// demand unless they are enabled.
func unitsToReturn(text string) (units []string) {
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		unit := map[string]string{}
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			unit[name] = value
		}
		id, file := unit["Id"], unit["UnitFileState"]
		switch {
		case unit["ActiveState"] != "active" && unit["ActiveState"] != "reloading":
		case strings.HasPrefix(id, "user@"), strings.HasPrefix(id, "user-runtime-dir@"), file == "transient":
		case !strings.HasPrefix(file, "enabled") && (unit["TriggeredBy"] != "" || unit["BusName"] != ""):
		default:
			units = append(units, id)
		}
	}
	slices.Sort(units)
	return slices.Compact(units) // a unit with an alias is listed twice
}
