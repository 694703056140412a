// Writer makes the kind of write that its argument names, in the working
// directory, so that tests can check whether it is recorded. "writer KIND..."
// makes several in turn.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: writer KIND...")
		os.Exit(2)
	}
	for i, kind := range os.Args[1:] {
		if run, ok := programs[kind]; ok {
			run(os.Args[i+2:])
			return
		}
		run, ok := kinds[kind]
		if !ok {
			fmt.Fprintln(os.Stderr, "writer: unknown kind", kind)
			os.Exit(2)
		}
		run()
	}
}

// must ends the program if a call that should succeed fails.
func must(err error) {
	if err != nil {
		_, _, line, _ := runtime.Caller(1)
		fmt.Fprintf(os.Stderr, "writer: line %d: %v\n", line, err)
		os.Exit(1)
	}
}

func fd(n int, err error) int {
	if err != nil {
		_, _, line, _ := runtime.Caller(1)
		fmt.Fprintf(os.Stderr, "writer: line %d: %v\n", line, err)
		os.Exit(1)
	}
	return n
}

func dir() int         { return fd(unix.Open("sub", unix.O_RDONLY|unix.O_DIRECTORY, 0)) }
func file() int        { return fd(unix.Open("old", unix.O_RDONLY, 0)) }
func own(n int) string { return "/proc/self/fd/" + strconv.Itoa(n) }
func write(n int)      { _, err := unix.Write(n, []byte("text\n")); must(err) }
func fails(err error) {
	if err == nil {
		fmt.Fprintln(os.Stderr, "writer: did not fail")
		os.Exit(1)
	}
}
func here() string { d, err := os.Getwd(); must(err); return d }
func text(s string) uintptr {
	b, err := unix.BytePtrFromString(s)
	must(err)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(b))
}

var kept []*byte // memory that system calls were given as a number

func raw(nr uintptr, args ...uintptr) (int, error) {
	var a [6]uintptr
	copy(a[:], args)
	n, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// programs take the arguments that follow.
var programs = map[string]func([]string){
	"sleep": func([]string) { time.Sleep(time.Hour) },
	"touch": func(a []string) { must(os.WriteFile(a[0], nil, 0o600)) },
	"print": func(a []string) {
		n, err := strconv.Atoi(a[0])
		must(err)
		_, err = unix.Write(n, []byte(a[1]))
		must(err)
	},
	"exit": func(a []string) { n, err := strconv.Atoi(a[0]); must(err); os.Exit(n) },
	"signal": func(a []string) {
		n, err := strconv.Atoi(a[0])
		must(err)
		unix.Kill(os.Getpid(), unix.Signal(n))
		time.Sleep(time.Hour)
	},
	"enter": func(a []string) { enter(a, 0) },
	// The root is mounted read-only.
	"enter-sealed": func(a []string) { enter(a, unix.MS_RDONLY) },
	"loop":         loop,
	"status":       func([]string) { b, err := os.ReadFile("/proc/self/status"); must(err); os.Stdout.Write(b) },
	"term":         term,
	"jobs":         jobs,
	"threads":      threads,
	"fork": func(a []string) {
		c := exec.Command("/proc/self/exe", a...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		must(c.Run())
	},
	"thread-exec": func(a []string) {
		done := make(chan bool)
		go func() { runtime.LockOSThread(); become(a); done <- true }()
		<-done
	},
}

func become(args []string) {
	must(syscall.Exec("/proc/self/exe", append([]string{"writer"}, args...), os.Environ()))
}

// enter makes the first argument the root of a new mount namespace and executes
// this program there.
func enter(a []string, flags uintptr) {
	runtime.LockOSThread()
	must(unix.Unshare(unix.CLONE_NEWNS))
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount(a[0], a[0], "", unix.MS_BIND|unix.MS_REC, ""))
	for _, d := range []string{"/proc", "/dev"} {
		must(unix.Mount(d, a[0]+d, "", unix.MS_BIND|unix.MS_REC, ""))
	}
	must(unix.Mount("none", a[0]+"/ro", "tmpfs", 0, ""))
	must(os.WriteFile(a[0]+"/ro/in", nil, 0o644))
	must(unix.Mount("", a[0]+"/ro", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	must(unix.Mount("", a[0], "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""))
	must(os.Chdir(a[0]))
	must(unix.PivotRoot(".", "."))
	must(unix.Unmount(".", unix.MNT_DETACH))
	must(os.Chdir("/desk"))
	must(syscall.Exec("/bin/writer", append([]string{"writer"}, a[1:]...), []string{"PATH=/bin"}))
}

func loop(a []string) {
	n, err := strconv.Atoi(a[0])
	must(err)
	for i := range n {
		name := "loop-" + strconv.Itoa(i)
		must(unix.Close(fd(unix.Open(name, unix.O_CREAT|unix.O_WRONLY|unix.O_EXCL, 0o600))))
		must(unix.Unlink(name))
	}
}

// term prints that it is ready, and writes a file when it gets SIGTERM.
func term([]string) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM)
	fmt.Println("ready")
	<-c
	unix.Close(fd(unix.Creat("at-end", 0o600)))
	os.Exit(7)
}

// jobs stops a child, checks that it has stopped, and continues it to its end.
func jobs([]string) {
	c := exec.Command("/proc/self/exe", "term")
	out, err := c.StdoutPipe()
	must(err)
	must(c.Start())
	var b [6]byte
	_, err = out.Read(b[:])
	must(err)
	var s unix.WaitStatus
	for range 3 {
		must(unix.Kill(c.Process.Pid, unix.SIGSTOP))
		_, err = unix.Wait4(c.Process.Pid, &s, unix.WUNTRACED, nil)
		must(err)
		if !s.Stopped() || s.StopSignal() != unix.SIGSTOP {
			must(fmt.Errorf("not stopped: %#x", s))
		}
		must(unix.Kill(c.Process.Pid, unix.SIGCONT))
		_, err = unix.Wait4(c.Process.Pid, &s, unix.WCONTINUED, nil)
		must(err)
		if !s.Continued() {
			must(fmt.Errorf("not continued: %#x", s))
		}
	}
	must(unix.Kill(c.Process.Pid, unix.SIGTERM))
	_, err = unix.Wait4(c.Process.Pid, &s, 0, nil)
	must(err)
	if s.ExitStatus() != 7 {
		must(fmt.Errorf("ended with %#x", s))
	}
}

// threads creates files from many threads at the same time.
func threads(a []string) {
	n, err := strconv.Atoi(a[0])
	must(err)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			runtime.LockOSThread() // and so the thread ends here
			name := "thread-" + strconv.Itoa(i)
			unix.Close(fd(unix.Creat(name, 0o600)))
		})
	}
	all.Wait()
}
