package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/ownthread"
)

// A Feature is a feature of the kernel that Adamant can use.
type Feature struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`            // details of the probe
	Without string `json:"without,omitempty"` // the effect of not having it
}

// A probe tries one feature and returns the details. It runs on a locked thread
// that ends with it, because a filter cannot be removed from a thread.
type probe struct {
	name, without string
	try           func() (string, error)
}

func probes() []probe {
	const weaker = "learning sees only what is left in the upper directory: files that were removed again, and refused calls, are missed"
	return []probe{
		{"kernel", "", kernelRelease},
		{"ptrace", weaker, probePtrace},
		{"seccomp-trace", weaker, probeSeccompTrace},
		{"seccomp-notify", "nothing today: tracing does not need it", probeSeccompNotify},
		{"openat2", weaker + "; paths in a container cannot be resolved safely", probeOpenat2},
		{"statx-mount-id", weaker, probeMountID},
		{"pidfd", "tracing: processes cannot be ended without a race", probePidfd},
		{"overlay", "containers need another snapshotter, and drift compares all files instead of the upper directory", probeOverlay},
		{"fanotify-names", "changes are found by looking again at intervals, not when they happen", probeFanotify},
		{"cgroup", "limits on memory and processes", probeCgroup},
		{"io_uring", "nothing: programs that would use it fall back, and are then seen", probeRing},
		{"user-namespaces", "pods with hostUsers: false", probeUserNamespace},
	}
}

// Probe tries the features that this kernel offers to this process. It
// mounts only in its own mount namespace.
func Probe(ctx context.Context) []Feature {
	var s []Feature
	for _, p := range probes() {
		if ctx.Err() != nil {
			return append(s, Feature{Name: p.name, Detail: "not tried: " + ctx.Err().Error(), Without: p.without})
		}
		var detail string
		var err error
		ownthread.Run(func() { detail, err = p.try() })
		f := Feature{Name: p.name, OK: err == nil, Detail: detail}
		if err != nil {
			f.Detail, f.Without = err.Error(), p.without
		}
		s = append(s, f)
	}
	return s
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:]), nil
}

// probePtrace seizes a child that is stopped before its first instruction,
// which it never executes.
func probePtrace() (string, error) {
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"probe"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return "", fmt.Errorf("start a traced child: %w", err)
	}
	defer func() {
		syscall.Kill(pid, unix.SIGKILL)
		var s syscall.WaitStatus
		for {
			if _, err := waitFor(pid, &s); err != nil || !s.Stopped() {
				return
			}
		}
	}()
	var status syscall.WaitStatus
	if _, err := waitFor(pid, &status); err != nil || !status.Stopped() {
		return "", fmt.Errorf("traced child did not stop: %v", err)
	}
	if errno := ptrace(unix.PTRACE_DETACH, pid, 0, uintptr(unix.SIGSTOP)); errno != 0 {
		return "", fmt.Errorf("stop: %w", errno)
	}
	if errno := ptrace(unix.PTRACE_SEIZE, pid, 0, traceOptions); errno != 0 {
		return "", fmt.Errorf("seize: %w", errno)
	}
	if _, err := waitFor(pid, &status); err != nil || !status.Stopped() {
		return "", fmt.Errorf("seized child did not stop: %v", err)
	}
	var info callInfo
	if errno := syscallInfo(pid, &info); errno != 0 {
		return "", fmt.Errorf("PTRACE_GET_SYSCALL_INFO (kernel 5.3): %w", errno)
	}
	return "seized a child and read its system call", nil
}

// probeSeccompTrace makes a call that needs a tracer, without having one: the
// call then fails with ENOSYS.
func probeSeccompTrace() (string, error) {
	prog := []unix.SockFilter{
		{Code: loadWord, K: dataNr},
		{Code: jumpEqual, K: unix.SYS_GETPRIORITY, Jf: 1},
		{Code: answer, K: unix.SECCOMP_RET_TRACE},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	}
	if _, err := install(prog, 0); err != nil {
		return "", err
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_GETPRIORITY, 0, 0, 0); errno != unix.ENOSYS {
		return "", fmt.Errorf("a filtered call returned %v, want ENOSYS", errno)
	}
	return "a filtered call asked for its tracer", nil
}

func probeSeccompNotify() (string, error) {
	allow := []unix.SockFilter{{Code: answer, K: unix.SECCOMP_RET_ALLOW}}
	fd, err := install(allow, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	if err != nil {
		return "", err
	}
	unix.Close(fd)
	return "got a listener", nil
}

func probeOpenat2() (string, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return "", fmt.Errorf("openat2 (kernel 5.6): %w", err)
	}
	unix.Close(fd)
	return "RESOLVE_IN_ROOT works", nil
}

func probeMountID() (string, error) {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_MNT_ID, &stat); err != nil {
		return "", fmt.Errorf("statx: %w", err)
	}
	if stat.Mask&unix.STATX_MNT_ID == 0 {
		return "", errors.New("statx tells no mount (kernel 5.8)")
	}
	return "statx tells the mount", nil
}

func probePidfd() (string, error) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return "", fmt.Errorf("pidfd_open (kernel 5.3): %w", err)
	}
	unix.Close(fd)
	return "processes can be held by descriptor", nil
}

func probeCgroup() (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &fs); err != nil {
		return "", fmt.Errorf("cgroups are not mounted: %w", err)
	}
	switch fs.Type {
	case unix.CGROUP2_SUPER_MAGIC:
		return "version 2", nil
	case unix.TMPFS_MAGIC:
		return "version 1", nil
	}
	return "", fmt.Errorf("/sys/fs/cgroup has file system type %#x", fs.Type)
}

func probeRing() (string, error) {
	var params [120]byte
	fd, _, errno := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return "", fmt.Errorf("io_uring_setup: %w", errno)
	}
	unix.Close(int(fd))
	return "programs may use it; learning says so where it happens", nil
}

// probeUserNamespace starts a child in a user namespace and kills it before its
// first instruction.
func probeUserNamespace() (string, error) {
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"probe"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Ptrace: true, Cloneflags: unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
	}})
	if err != nil {
		return "", fmt.Errorf("clone: %w", err)
	}
	syscall.Kill(pid, unix.SIGKILL)
	var s syscall.WaitStatus
	for {
		if _, err := waitFor(pid, &s); err != nil || !s.Stopped() {
			return "can be made", nil
		}
	}
}
