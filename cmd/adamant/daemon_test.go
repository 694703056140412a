package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/adamant-sh/adamant/test/web"
)

// TestDaemonScript runs the scripts of testdata/daemon with the real program and a daemon
// of their own. They have the images adamant.test/one:1 and adamant.test/two:1, and run
// one after the other: each uses names that no other uses, and deletes its workloads.
func TestDaemonScript(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.load("one", "one", web.Good)
	s.load("two", "two", web.Good)
	// The subtests that testscript makes are parallel; they end with this one.
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir: "testdata/daemon", RequireExplicitExec: true, RequireUniqueNames: true, Setup: s.setup,
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": runWithCode, "until": runUntil, "json": checkJSON, "save": saveJSON},
		})
	})
}
