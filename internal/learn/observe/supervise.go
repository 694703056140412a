package observe

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// traceMain is the main function of the process that traces one runc and all
// its descendants. It outlives runc and ends with the last traced process.
func traceMain(arg string) int {
	runtime.LockOSThread()
	var j job
	if err := json.Unmarshal([]byte(arg), &j); err != nil {
		fmt.Fprintln(os.Stderr, "adamant: read job:", err)
		return 1
	}
	// runc must not inherit the socket, whose closing tells the wrapper that
	// this process has died.
	unix.CloseOnExec(j.Control)
	unix.SetNonblock(j.Control, true) // so that closing ends a read under way
	control := os.NewFile(uintptr(j.Control), "control")
	if err := j.trace(control); err != nil {
		report(control, 1, err.Error())
		return 1
	}
	return 0
}

// report sends runc's exit status, and an error if any, to the waiting wrapper.
func report(control *os.File, status uint32, text string) {
	data := binary.LittleEndian.AppendUint32(nil, status)
	control.Write(append(data, text...))
	control.Close()
}

func (j job) trace(control *os.File) error {
	t := newTracer()
	defer t.close()
	var err error
	if t.inside, err = elsewhere(); err != nil {
		return err
	}
	t.starts, t.exec, t.measures = j.starts(t.inside), j.PIDFile == "", true
	// The file exists before the container does, so that a reader of the
	// directory waits for the trace.
	out, err := newOutput(j, t)
	if err != nil {
		return err
	}
	pid, err := j.startRunc()
	if err != nil {
		out.discard()
		return err
	}
	t.first = pid
	if err := j.letGo(control); err != nil {
		out.discard()
		return err // runc is killed when its tracer ends (PTRACE_O_EXITKILL)
	}
	runc, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	go killWith(control, runc)
	status := 0
	t.ended = func(s syscall.WaitStatus) {
		status = exitCode(s)
		report(control, uint32(status), "")
	}
	out.start()
	err = t.loop()
	// If runc failed there is no container whose program could have been seen.
	if status == 0 {
		err = errors.Join(err, t.missed())
	}
	return out.finish(err)
}

// killWith kills runc if its caller ends first.
func killWith(control *os.File, runc int) {
	var b [1]byte
	if n, _ := control.Read(b[:]); n == 0 {
		// This does nothing if runc has ended.
		unix.PidfdSendSignal(runc, unix.SIGKILL, nil, 0)
	}
}

// starts returns a function that reports whether a process has just executed the
// container's program: it is in another mount namespace, where hooks are too, and
// it is the process in runc's pid file. For an exec there is no such file, and any
// process that runc starts may be the one.
func (j job) starts(inside func(int) bool) func(int) bool {
	return func(pid int) bool {
		if !inside(pid) {
			return false
		}
		if j.PIDFile == "" {
			return true
		}
		data, err := os.ReadFile(j.PIDFile)
		return err == nil && strings.TrimSpace(string(data)) == strconv.Itoa(pid)
	}
}

// startRunc starts runc with every descriptor that the caller passed for it.
func (j job) startRunc() (int, error) {
	return startTraced(j.Command, &syscall.ProcAttr{Env: os.Environ(), Files: j.files(), Sys: &syscall.SysProcAttr{}})
}

// letGo releases the descriptors, session and working directory of the caller,
// which the tracer would keep in use as long as the container runs. It ignores the
// signals that end a whole service: the container must end first.
func (j job) letGo(control *os.File) error {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("drop standard files: %w", err)
		}
	}
	unix.Close(null)
	for _, fd := range j.Inherited {
		unix.Close(fd)
	}
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	unix.Setsid()
	return os.Chdir("/")
}
