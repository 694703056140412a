// Command lab starts servers with a repository of packages, and writes the
// files that a client needs to a directory: an inventory hosts.ini, and a home
// with known_hosts and a key. The servers end with the command's standard
// input.
//
//	lab DIR [SERVERS [PACKAGE...]]
//
// A line of standard input with the name of a server, a tab and a shell command
// runs the command on the server as root. The response is the command's output
// and a line "done".
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/test/sshd"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: lab DIR [SERVERS [PACKAGE...]]")
		os.Exit(2)
	}
	n := 3
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	t := &sshd.Program{}
	defer t.End()
	var packages []string
	if len(os.Args) > 3 {
		packages = os.Args[3:]
	}
	l := sshd.Open(t, packages...)
	servers := map[string]*sshd.Server{}
	var all []*sshd.Server
	repo := l.Repository()
	repo.AddWeb()
	for i := range n {
		s := l.Start(fmt.Sprintf("web-%d", i+1), sshd.Options{Systemd: slices.Contains(packages, "systemd")})
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
