package observe

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const saNoChildStop = 1 // SA_NOCLDSTOP

// quietStops tells the kernel not to send SIGCHLD when a traced thread stops,
// because the Go runtime's handler would run four times for each traced call.
// wait returns the stops all the same. The other settings of the runtime's
// action stay.
func quietStops() {
	var action struct{ handler, flags, restorer, mask uint64 } // struct sigaction of amd64 and arm64
	const maskSize = 8
	_, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), 0, addressOf(&action), maskSize, 0, 0)
	if errno == 0 && action.flags&saNoChildStop == 0 {
		action.flags |= saNoChildStop
		syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), addressOf(&action), 0, maskSize, 0, 0)
	}
}
