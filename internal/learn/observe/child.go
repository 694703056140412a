package observe

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// RuntimeName is the name of the link to the program under which it is an OCI
// runtime (see RuntimeMain).
const RuntimeName = "adamant-runc"

// The first arguments with which this program executes itself.
const (
	becomeCommand = "adamant-stage"
	traceCommand  = "adamant-trace"
)

// exitNotExecuted is the exit status of a child that could not execute its program.
const exitNotExecuted = 125

// becomeTraced runs in a child that is traced already: it installs the filter
// for itself and executes the program argv. The order matters: without a
// tracer, calls with SECCOMP_RET_TRACE fail with ENOSYS, and a filter that is
// installed later would miss the first calls.
func becomeTraced(argv []string) int {
	runtime.LockOSThread()
	// By default the kernel enables the mitigation of speculative store bypass
	// for filtered programs, which slows them down. This filter is no
	// protection, so it does not need the mitigation.
	if _, err := install(filter(abis()), unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW); err != nil {
		fmt.Fprintln(os.Stderr, "adamant:", err)
		return exitNotExecuted
	}
	err := syscall.Exec(argv[0], argv, os.Environ())
	fmt.Fprintf(os.Stderr, "adamant: execute %s: %v\n", argv[0], err)
	return exitNotExecuted
}

// startTraced starts becomeTraced for argv as a traced child of the calling
// thread, which must be locked. attr holds the Files and other attributes of
// the program.
//
// The child requests tracing before its execve, and so stops with one thread
// before its first instruction. It is then detached into a group stop and
// seized, because a process that is traced by PTRACE_TRACEME cannot stay in a
// job-control stop: only PTRACE_LISTEN does that, and it needs PTRACE_SEIZE.
func startTraced(argv []string, attr *syscall.ProcAttr) (int, error) {
	attr.Sys.Ptrace = true
	args := append([]string{RuntimeName, becomeCommand}, argv...)
	pid, err := syscall.ForkExec("/proc/self/exe", args, attr)
	if err != nil {
		return 0, fmt.Errorf("start traced child: %w", err)
	}
	if err := seize(pid); err != nil {
		syscall.Kill(pid, unix.SIGKILL)
		syscall.Wait4(pid, nil, unix.WALL, nil)
		return 0, err
	}
	return pid, nil
}

func seize(pid int) error {
	var status syscall.WaitStatus
	if _, err := waitFor(pid, &status); err != nil || !status.Stopped() {
		return fmt.Errorf("traced child did not stop (%v): status %#x", err, status)
	}
	if errno := ptrace(unix.PTRACE_DETACH, pid, 0, uintptr(unix.SIGSTOP)); errno != 0 {
		return fmt.Errorf("let traced child stop: %w", errno)
	}
	if errno := ptrace(unix.PTRACE_SEIZE, pid, 0, traceOptions); errno != 0 {
		return fmt.Errorf("seize traced child: %w", errno)
	}
	if err := syscall.Kill(pid, unix.SIGCONT); err != nil {
		return fmt.Errorf("continue traced child: %w", err)
	}
	return nil
}

func waitFor(pid int, status *syscall.WaitStatus) (int, error) {
	for {
		got, err := syscall.Wait4(pid, status, unix.WALL, nil)
		if err != unix.EINTR {
			return got, err
		}
	}
}
