// Command probe is the program that tests run in containers. Its first argument
// selects an action.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

func main() {
	switch os.Args[1] {
	case "wait": // until it is told to end
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
		fmt.Println("waiting")
		<-ended
	case "cat":
		fmt.Fprintln(os.Stderr, "reading")
		io.Copy(os.Stdout, os.Stdin)
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "size": // of the terminal, each time it changes, until width 1
		changed := make(chan os.Signal, 8)
		signal.Notify(changed, syscall.SIGWINCH)
		for size := [4]uint16{}; size[1] != 1; <-changed {
			syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
			fmt.Printf("%dx%d\n", size[1], size[0])
			if size[1] == 1 {
				return
			}
		}
	case "orphan": // leaves a process whose parent ended
		if len(os.Args) > 2 {
			return
		}
		p, err := os.StartProcess("/probe", []string{"/probe", "orphan", "child"}, &os.ProcAttr{})
		fmt.Println(p, err)
	case "processes": // of this pid namespace, zombies too, by name
		ended, _ := filepath.Glob("/proc/[0-9]*/comm")
		var names []string
		for _, path := range ended {
			name, _ := os.ReadFile(path)
			names = append(names, string(name))
		}
		slices.Sort(names)
		fmt.Print(strings.Join(names, ""))
	}
}
