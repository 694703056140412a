package reach

import (
	"context"
	"errors"
	"fmt"
)

// sshUnits are the names that distributions have for the units of sshd.
var sshUnits = []string{"ssh.socket", "sshd.socket", "ssh.service", "sshd.service"}

// RestartListener starts sshd again, which listens at an address. The units are tried by
// their names, because the listener may be gone together with what identified it.
func RestartListener(ctx context.Context, address string) error {
	if !Booted() {
		for _, name := range []string{"ssh", "sshd"} {
			for _, command := range [][]string{{"service", name, "restart"}, {"rc-service", name, "restart"}} {
				if has(command[0]) {
					if _, err := output(ctx, command[0], command[1:]...); err == nil {
						return nil
					}
				}
			}
		}
		return fmt.Errorf("sshd does not answer at %s, and no known service manager is running", address)
	}
	var errs []error
	for _, unit := range sshUnits {
		if _, err := output(ctx, "systemctl", "is-enabled", "--quiet", unit); err != nil {
			continue // it does not exist, or is not used
		}
		// Commands that are stopped by a signal do not end at a request.
		_, _ = output(ctx, "systemctl", "kill", "--signal=CONT", unit)
		if _, err := output(ctx, "systemctl", "restart", unit); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Reboot requests a restart of the machine, in which services are stopped in order.
func Reboot(ctx context.Context) error {
	command := []string{"reboot"}
	if Booted() {
		command = []string{"systemctl", "reboot"}
	}
	_, err := output(ctx, command[0], command[1:]...)
	return err
}

// ForceReboot restarts the machine without stopping services if Reboot fails.
func ForceReboot(ctx context.Context) error {
	if Reboot(ctx) == nil {
		return nil
	}
	_, err := output(ctx, "reboot", "-f")
	return err
}
