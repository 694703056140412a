package reach

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// maxClockStep is the step of the clock that is not taken back: synchronization makes
// smaller ones.
const maxClockStep = time.Minute

// clockOffset returns the difference of the time of day to the time since the boot. It
// only changes when the clock is set.
func clockOffset() (time.Duration, error) {
	var day, boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0, err
	}
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &day); err != nil {
		return 0, err
	}
	return time.Duration(day.Nano() - boot.Nano()), nil
}

// restoreClock takes back a step of the clock since the recorded offset.
func restoreClock(before time.Duration) error {
	now, err := clockOffset()
	if err != nil || before == 0 || (now-before).Abs() <= maxClockStep {
		return err
	}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return err
	}
	right := unix.NsecToTimespec(boot.Nano() + int64(before))
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &right); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}
