package reach

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// A State is the recorded state of a machine. It is stored as JSON. A part that could not
// be read is nil, and is neither restored nor compared: its emptiness is no state.
type State struct {
	Boot     string            `json:"boot"`    // the kernel's identifier of this boot
	Network  *network          `json:"network"` // nil if it could not be read
	Firewall firewall          `json:"firewall"`
	Sysctls  map[string]string `json:"sysctls"`
	Units    map[string]unit   `json:"units,omitempty"`
	Mounts   []mounts.Mount    `json:"mounts"`
	Nodes    []node            `json:"nodes"`
	Top      node              `json:"top"`   // the root directory, which sshd and logins need
	Clock    time.Duration     `json:"clock"` // see clockOffset
}

// BootID returns the kernel's identifier of this boot, empty if it is not known.
func BootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// Read records the state of the machine that it runs on. An error names what could not
// be read; the rest of the state is valid.
func Read(ctx context.Context, root *rootfs.Root) (State, error) {
	s := State{Boot: BootID(), Sysctls: readSysctls()}
	var errs [7]error
	s.Network, errs[0] = readNetworkAgain()
	s.Firewall, errs[1] = readFirewall(ctx)
	s.Units, errs[2] = readUnits(ctx)
	s.Mounts, errs[3] = readMounts()
	s.Nodes, errs[4] = readNodes(ctx, root)
	s.Clock, errs[5] = clockOffset()
	s.Top, errs[6] = readTop(root)
	return s, errors.Join(errs[:]...)
}

// RestoreDisks restores the root directory, mounts, device nodes and the clock. It comes
// before files are restored, because these may be below a mount that hides or protects
// them. Another boot has made its own mounts and nodes, and its clock counts from
// another time.
func (s State) RestoreDisks(ctx context.Context, root *rootfs.Root) error {
	errs := []error{restoreTop(root, s.Top)}
	if s.Boot == BootID() {
		errs = append(errs, restoreMounts(s.Mounts), restoreNodes(ctx, root, s.Nodes), restoreClock(s.Clock))
	}
	return errors.Join(errs...)
}

// RestoreNetwork restores kernel settings, links with everything that depends on them,
// and firewalls.
func (s State) RestoreNetwork(ctx context.Context) error {
	errs := []error{restoreSysctls(s.Sysctls)}
	if s.Network != nil {
		errs = append(errs, s.Network.restore())
	}
	return errors.Join(append(errs, s.Firewall.restore(ctx))...)
}

// RestoreUnits restores which units are active. It comes after files were restored.
func (s State) RestoreUnits(ctx context.Context) error { return restoreUnits(ctx, s.Units) }

// Difference returns how the present state differs from the recorded one, in words.
func (s State) Difference(now State) []string {
	var left []string
	if s.Network != nil && now.Network != nil {
		left = append(left, s.Network.difference(*now.Network)...)
	}
	for _, part := range [][]string{
		s.Firewall.difference(now.Firewall), sysctlDifference(s.Sysctls, now.Sysctls),
		unitDifference(s.Units, now.Units),
	} {
		left = append(left, part...)
	}
	if s.Top.Path != "" && !s.Top.equal(now.Top) {
		left = append(left, "/")
	}
	if s.Boot != now.Boot {
		return left
	}
	left = append(left, mountDifference(s.Mounts, now.Mounts)...)
	left = append(left, nodeDifference(s.Nodes, now.Nodes)...)
	if s.Clock != 0 && (now.Clock-s.Clock).Abs() > maxClockStep {
		left = append(left, "the clock")
	}
	return left
}
