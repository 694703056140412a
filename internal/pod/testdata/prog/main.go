// Prog contains all programs of the tests' image.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var verbs map[string]func(args []string) error

func main() {
	verbs = map[string]func([]string) error{
		"sleep": sleep, "exit": exit, "cat": cat, "touch": touch, "stat": stat, "env": env, "id": id,
		"ls": ls, "echo": echo, "serve": serve, "write": write, "seq": seq, "once": once, "fill": fill,
		"onterm": onterm, "fork": fork, "wait": wait, "append": appendTo, "hang": hang, "spam": spam,
		"private": private, "sandbox": sandbox, "tmpfs": tmpfs, "ghost": ghost,
	}
	if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "unknown verb")
		os.Exit(127)
	}
	if err := verbs[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "prog:", err)
		os.Exit(1)
	}
}

func sleep(args []string) error {
	d := time.Hour
	if len(args) > 0 {
		var err error
		if d, err = time.ParseDuration(args[0]); err != nil {
			return err
		}
	}
	time.Sleep(d)
	return nil
}

// private starts a process with a mount namespace of its own, in which a tmpfs is mounted
// over a directory, and waits until it is.
func private(args []string) error {
	return hide(args[0], &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS})
}

// sandbox is private in a user namespace of its own.
func sandbox(args []string) error {
	own := []syscall.SysProcIDMap{{Size: 1}}
	return hide(args[0], &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: own, GidMappings: own})
}

func hide(dir string, how *syscall.SysProcAttr) error {
	child := exec.Command("/proc/self/exe", "tmpfs", dir)
	child.SysProcAttr = how
	ready, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	_, err = ready.Read(make([]byte, 1))
	return err
}

func tmpfs(args []string) error {
	if err := syscall.Mount("none", args[0], "tmpfs", 0, ""); err != nil {
		return err
	}
	fmt.Println("mounted")
	return sleep(nil)
}

// ghost starts a copy of this program and deletes its file.
func ghost(args []string) error {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[0], program, 0o755); err != nil {
		return err
	}
	if err := exec.Command(args[0], "sleep").Start(); err != nil {
		return err
	}
	return os.Remove(args[0])
}

// hang ignores the usual stop signals.
func hang([]string) error {
	signal.Ignore(syscall.SIGTERM)
	fmt.Println("hanging")
	return sleep(nil)
}

// spam prints at least a number of bytes.
func spam(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	line := strings.Repeat("x", 1023) + "\n"
	for ; n > 0; n -= len(line) {
		if _, err := os.Stdout.WriteString(line); err != nil {
			return err
		}
	}
	return nil
}

func exit(args []string) error {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(args[1:], " "))
	os.Exit(code)
	return nil
}

func cat(args []string) error {
	for _, name := range args {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		io.Copy(os.Stdout, f)
		f.Close()
	}
	return nil
}

func touch(args []string) error {
	for _, name := range args {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		f.Close()
	}
	return nil
}

func write(args []string) error {
	return os.WriteFile(args[0], []byte(strings.Join(args[1:], " ")+"\n"), 0o644)
}

func appendTo(args []string) error {
	f, err := os.OpenFile(args[0], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, strings.Join(args[1:], " "))
	return err
}

// stat prints mode, owner, group and the target of a link.
func stat(args []string) error {
	for _, name := range args {
		var st syscall.Stat_t
		if err := syscall.Lstat(name, &st); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		target, _ := os.Readlink(name)
		fmt.Printf("%s %o %d:%d %s\n", name, st.Mode, st.Uid, st.Gid, target)
	}
	return nil
}

func env([]string) error {
	all := os.Environ()
	sort.Strings(all)
	fmt.Println(strings.Join(all, "\n"))
	return nil
}

func id([]string) error {
	groups, err := os.Getgroups()
	sort.Ints(groups)
	fmt.Println(os.Getuid(), os.Getgid(), groups)
	return err
}

func ls(args []string) error {
	return filepath.Walk(args[0], func(path string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Println(path)
		}
		return err
	})
}

func echo(args []string) error {
	fmt.Println(strings.Join(args, " "))
	return nil
}

// serve answers on an address: / with 200, /file?name= with 200 if the file is
// there, 503 otherwise.
func serve(args []string) error {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello from", args[0]) })
	http.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat(r.FormValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return http.ListenAndServe(args[0], nil)
}

// seq runs several verbs, with "--" between them.
func seq(args []string) error {
	for len(args) > 0 {
		var one []string
		for len(args) > 0 && args[0] != "--" {
			one, args = append(one, args[0]), args[1:]
		}
		if len(args) > 0 {
			args = args[1:]
		}
		if err := verbs[one[0]](one[1:]); err != nil {
			return err
		}
	}
	return nil
}

// once runs a verb only the first time, which it records in a file.
func once(args []string) error {
	if _, err := os.Stat(args[0]); err == nil {
		return nil
	}
	if err := touch(args[:1]); err != nil {
		return err
	}
	return verbs[args[1]](args[2:])
}

// onterm waits for one of the usual stop signals, writes its name, and exits.
func onterm(args []string) error {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGQUIT)
	fmt.Println("waiting")
	s := <-got
	return appendTo([]string{args[0], strings.Join(append(args[1:], s.String()), " ")})
}

// wait exits once a file exists.
func wait(args []string) error {
	for {
		if _, err := os.Stat(args[0]); err == nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// fill writes a number of bytes.
func fill(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], make([]byte, n), 0o644)
}

// fork starts several copies of itself, and prints how many it could start.
func fork(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for i := range n {
		_, err := os.StartProcess("/prog", []string{"prog", "sleep"}, &os.ProcAttr{})
		if err != nil {
			fmt.Println(i, err)
			return nil
		}
	}
	fmt.Println(n, "all of them")
	return nil
}
