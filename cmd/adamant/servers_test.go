package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/adamant-sh/adamant/test/sshd"
)

// TestServers runs the scripts of testdata/servers, each with three real servers
// of its own, web-1 to web-3, and an inventory of them in hosts.ini.
func TestServers(t *testing.T) {
	l := openLab(t)
	scripts, err := filepath.Glob("testdata/servers/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := startServers(t)
			testscript.Run(t, testscript.Params{
				Files:               []string{file},
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
				Setup: func(env *testscript.Env) error {
					env.Setenv("PATH", l.bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
					return s.setup(env)
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"code": runWithCode,
					"json": checkJSON,
					"save": saveJSON,
					"on":   s.on,
				},
			})
		})
	}
}

// A site is servers that should be the same.
type site struct {
	lab     *sshd.Lab
	servers []*sshd.Server
}

func startServers(t *testing.T) *site {
	s := &site{lab: sshd.Open(t)}
	for i := range 3 {
		s.servers = append(s.servers, s.lab.Start(fmt.Sprintf("web-%d", i+1), sshd.Options{}))
	}
	return s
}

// setup gives a script a home that has what it takes to reach the servers.
func (s *site) setup(env *testscript.Env) error {
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("SSH_AUTH_SOCK", "")
	return s.lab.WriteHome(env.WorkDir, s.servers)
}

// on is "on SERVER COMMAND ARG...": it runs there as root, and must succeed.
func (s *site) on(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: on SERVER COMMAND ARG...")
	}
	for _, srv := range s.servers {
		if srv.Name == args[0] {
			ts.Logf("%s", srv.Exec(args[1:]...))
			return
		}
	}
	ts.Fatalf("no server %s", args[0])
}
