// Command lab starts servers with a repository of packages, and writes into a directory what it takes to reach
// them: an inventory hosts.ini, and a home with known_hosts and a key. The
// servers end with its standard input.
//
//	lab DIR [SERVERS]
//
// A line of standard input that names a server, a tab and a shell command runs
// that on it as root; the answer is the command's output and a line "done".
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/test/sshd"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: lab DIR [SERVERS]")
		os.Exit(2)
	}
	n := 3
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	t := &script{}
	defer t.end()
	l := sshd.Open(t)
	servers := map[string]*sshd.Server{}
	var all []*sshd.Server
	repo := l.Repository()
	repo.AddWeb()
	for i := range n {
		s := l.Start(fmt.Sprintf("web-%d", i+1), sshd.Options{})
		s.Use(repo)
		servers[s.Name] = s
		all = append(all, s)
	}
	if err := l.WriteHome(os.Args[1], all); err != nil {
		t.Fatalf("%v", err)
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name, command, _ := strings.Cut(lines.Text(), "\t")
		if s := servers[name]; s != nil {
			fmt.Print(s.Exec("sh", "-c", command+" 2>&1 || true"))
		}
		fmt.Println("done")
	}
}

// A script is what a lab takes for a test.
type script struct {
	cleanups []func()
	failed   bool
}

func (s *script) Context() context.Context { return context.Background() }
func (s *script) Helper()                  {}
func (s *script) Failed() bool             { return s.failed }
func (s *script) Cleanup(f func())         { s.cleanups = append(s.cleanups, f) }

func (s *script) TempDir() string {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-lab-")
	if err != nil {
		s.Fatalf("%v", err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Clean(dir)
}

func (s *script) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (s *script) Errorf(format string, args ...any) {
	s.Logf(format, args...)
	s.failed = true
}

func (s *script) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	s.end()
}

// end takes everything down.
func (s *script) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	if s.failed {
		os.Exit(1)
	}
}
