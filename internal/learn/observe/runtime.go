package observe

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runcVariable is the environment variable with the path of the real runc. Without
// it, runc is searched in PATH and the usual directories.
const runcVariable = "ADAMANT_RUNC"

// RuntimeMain is the main function under the name RuntimeName: an OCI runtime
// that passes all commands to runc, and traces the containers with the
// annotation traceAnnotation and the commands that are executed in them. args
// are os.Args. It returns the exit status, or replaces the process.
func RuntimeMain(args []string) int {
	if len(args) > 2 && args[1] == becomeCommand {
		return becomeTraced(args[2:])
	}
	if len(args) == 3 && args[1] == traceCommand {
		return traceMain(args[2])
	}
	in := parseInvocation(args[1:])
	runc, err := findRunc()
	if err != nil {
		return in.fail(err)
	}
	command := append([]string{runc}, args[1:]...)
	if in.command == "create" || in.command == "exec" || in.command == "run" {
		dir, name, err := traceOf(in)
		switch {
		case errors.Is(err, os.ErrNotExist) && dir == "":
			// There is no such container or bundle. runc reports that with a
			// better error.
		case err != nil:
			return in.fail(err)
		case dir != "":
			root, err := in.kind(dir)
			if err != nil {
				return in.fail(err)
			}
			return traced(in, job{Dir: dir, Container: name, Root: root, Command: command, PIDFile: in.watchedPIDFile()})
		}
	}
	return in.fail(fmt.Errorf("execute %s: %w", runc, syscall.Exec(runc, command, os.Environ())))
}

// kind returns the root of the trace, whose directory is dir. It makes the file for
// runc exec ready.
func (in invocation) kind(dir string) (string, error) {
	if in.command != "exec" {
		return "init", nil
	}
	isExercise, err := unwrapExercise(in.process, dir)
	if err != nil || !isExercise {
		return "exec", err
	}
	return "exercise", nil
}

// watchedPIDFile returns the file with the number of the container's first
// process, written before that process executes the program. Only create writes
// it in time.
func (in invocation) watchedPIDFile() string {
	if in.command != "create" || in.pidFile == "" {
		return ""
	}
	abs, err := filepath.Abs(in.pidFile)
	if err != nil {
		return ""
	}
	return abs
}

// fail reports an error where the caller of runc expects it: on stderr and in
// the log, whose last error containerd shows.
func (in invocation) fail(err error) int {
	fmt.Fprintln(os.Stderr, "adamant:", err)
	if in.log == "" {
		return 1
	}
	f, openErr := os.OpenFile(in.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if openErr != nil {
		return 1
	}
	defer f.Close()
	json.NewEncoder(f).Encode(map[string]string{
		"level": "error", "msg": "adamant: " + err.Error(), "time": time.Now().Format(time.RFC3339),
	})
	return 1
}

// findRunc returns the path of the runc to wrap, which must not be this
// program.
func findRunc() (string, error) {
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		return "", err
	}
	for _, name := range runcPlaces() {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		// This program may be the first runc in PATH, and executing it again
		// would loop.
		if info, err := os.Stat(path); err == nil && !os.SameFile(own, info) {
			return path, nil
		}
	}
	return "", fmt.Errorf("find runc: not in PATH; install the package runc or set %s", runcVariable)
}

func runcPlaces() []string {
	if p := os.Getenv(runcVariable); p != "" {
		return []string{p}
	}
	return []string{"runc", "/usr/local/sbin/runc", "/usr/local/bin/runc", "/usr/sbin/runc", "/usr/bin/runc", "/sbin/runc"}
}

// A job configures the tracing process.
type job struct {
	Dir       string   // for the trace
	Container string   // its name
	Root      string   // of the trace
	Command   []string // runc's
	PIDFile   string   // see watchedPIDFile
	Control   int      // descriptor to report runc's exit status on
	Inherited []int    // descriptors from 3 on that are runc's
}

// traced starts a process that runs runc traced and outlives this one, waits
// until runc itself has ended and returns its exit status.
func traced(in invocation, j job) int {
	status, err := j.start()
	if err != nil {
		return in.fail(fmt.Errorf("trace container %s: %w", in.id, err))
	}
	return status
}

func (j job) start() (int, error) {
	var err error
	if j.Inherited, err = inheritable(); err != nil {
		return 0, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("make control socket: %w", err)
	}
	files := j.files()
	j.Control = len(files)
	arg, err := json.Marshal(j)
	if err != nil {
		return 0, err
	}
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: append(files, uintptr(pair[1]))}
	if _, err := syscall.ForkExec("/proc/self/exe", []string{RuntimeName, traceCommand, string(arg)}, attr); err != nil {
		return 0, fmt.Errorf("start tracer: %w", err)
	}
	// Only the tracing process may hold this end, so that reading from the
	// other one ends when that process dies.
	unix.Close(pair[1])
	// A signal to this process is meant for runc: if this process is killed, the
	// socket is closed and the tracer kills runc.
	control := os.NewFile(uintptr(pair[0]), "control")
	defer control.Close()
	return readStatus(control)
}

// files returns the descriptors of runc. They keep their numbers, by which runc
// finds them (LISTEN_FDS, --preserve-fds).
func (j job) files() []uintptr {
	files := []uintptr{0, 1, 2}
	for _, fd := range j.Inherited {
		for len(files) <= fd {
			files = append(files, ^uintptr(0)) // closed in the child
		}
		files[fd] = uintptr(fd)
	}
	return files
}

// readStatus receives the report of the tracing process: runc's exit status, or
// an error as text.
func readStatus(control io.Reader) (int, error) {
	var status uint32
	if err := binary.Read(control, binary.LittleEndian, &status); err != nil {
		return 0, fmt.Errorf("tracer ended early: %w", err)
	}
	text, _ := io.ReadAll(io.LimitReader(control, 4096))
	if len(text) > 0 {
		return 0, errors.New(string(text))
	}
	return int(status), nil
}

// inheritable lists the descriptors from 3 on that an executed program would
// inherit.
func inheritable() ([]int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("list own descriptors: %w", err)
	}
	var list []int
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err != nil || fd < 3 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			list = append(list, fd)
		}
	}
	return list, nil
}
