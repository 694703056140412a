package change

import (
	"context"
	"errors"
	"os"
)

// reloads are services that keep their old configuration until they are reloaded. Only
// services that the connection to the server depends on are listed.
var reloads = []struct {
	below string
	units []string
}{
	{"/etc/ssh", []string{"ssh", "sshd"}},
	{"/etc/network", []string{"networking"}},
	{"/etc/systemd/network", []string{"systemd-networkd"}},
	{"/etc/netplan", []string{"systemd-networkd", "NetworkManager"}},
	{"/etc/NetworkManager", []string{"NetworkManager"}},
}

// reload makes services read their restored configuration, if systemd is running.
func (r *runner) reload(ctx context.Context) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil // no service manager to ask
	}
	var errs []error
	units := map[string]bool{}
	for _, f := range r.state.Files {
		if f.Before == fromSaved {
			continue
		}
		for _, reload := range reloads {
			for _, unit := range reload.units {
				if isBelow(f.Path, []string{reload.below}) {
					units[unit] = true
				}
			}
		}
	}
	if len(units) > 0 {
		errs = append(errs, runWithInput(ctx, "", "systemctl", "daemon-reload"))
	}
	for unit := range units {
		// Distributions have different names for a service, such as ssh and sshd.
		if output(ctx, "systemctl", "is-enabled", unit) != "" {
			errs = append(errs, runWithInput(ctx, "", "systemctl", "reload-or-restart", unit))
		}
	}
	return errors.Join(errs...)
}
