package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/adamant-sh/adamant/internal/fs/overlay"
)

// TestScript runs the scripts of testdata/script with the real program, in
// parallel on one private containerd. Each uses names of pods that no other script
// uses, and removes its pods.
func TestScript(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	addRegistry := startRegistry(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			addRegistry(env)
			return l.setup(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  runWithCode,
			"until": runUntil,
			"json":  checkJSON,
			"save":  saveJSON,

			"edit-layer": editLayer,
		},
	})
}

func (l *lab) setup(env *testscript.Env) error {
	env.Setenv("PATH", l.bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
	env.Setenv("ADAMANT_BIN", l.bin) // a PATH without other programs
	env.Setenv("ADAMANT_ROOT", l.root)
	env.Setenv("ADAMANT_STATE", l.state)
	if dir, ok := os.LookupEnv("ADAMANT_CONTAINERD_BIN"); ok {
		env.Setenv("ADAMANT_CONTAINERD_BIN", dir)
	}
	env.Setenv("NGINX_CONTAINER", l.container)
	env.Setenv("NGINX_DEBIAN", l.debian)
	return nil
}

// runWithCode implements "code N COMMAND ARG...": the command must exit with N.
func runWithCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitOf(ts, args[1:]); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func exitOf(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	ts.Check(checkOutput(args, ts.ReadFile("stdout")))
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("%s: %v", args[0], err)
	return -1
}

// runUntil implements "until REGEXP COMMAND ARG...": it repeats the command until
// its output matches, for at most a minute.
func runUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND ARG...")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		exitOf(ts, args[1:])
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("never printed %s", args[0])
		}
	}
}

// checkJSON implements "json PATH REGEXP": standard output must be one document,
// and its value at PATH, such as pods.0.name, must match REGEXP as a whole.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH REGEXP")
	}
	got := lookupJSON(ts, args[0])
	if regexp.MustCompile("^(?s:"+args[1]+")$").MatchString(got) == neg {
		ts.Fatalf("%s is %s, want %s (negated: %v)", args[0], got, args[1], neg)
	}
}

// saveJSON implements "save PATH NAME": it sets an environment variable to the
// value at PATH in the document on standard output.
func saveJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: save PATH NAME")
	}
	ts.Setenv(args[1], lookupJSON(ts, args[0]))
}

// editLayer implements "edit-layer PID PATH": it inverts the first byte of a file in the
// lower directory of a container, in place and with its time restored. Doing so twice
// restores the file.
func editLayer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: edit-layer PID PATH")
	}
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	m, err := overlay.Find(pid)
	ts.Check(err)
	for _, dir := range m.Lower {
		path := filepath.Join(dir, args[1])
		before, err := os.Lstat(path)
		if err != nil {
			continue
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		ts.Check(err)
		defer f.Close()
		var b [1]byte
		_, err = f.ReadAt(b[:], 0)
		ts.Check(err)
		b[0] ^= 0xff
		_, err = f.WriteAt(b[:], 0)
		ts.Check(err)
		ts.Check(os.Chtimes(path, before.ModTime(), before.ModTime()))
		return
	}
	ts.Fatalf("no layer of %d has %s", pid, args[1])
}

func lookupJSON(ts *testscript.TestScript, path string) string {
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var v any
	ts.Check(decoder.Decode(&v))
	if decoder.More() {
		ts.Fatalf("more than one document on standard output")
	}
	for _, key := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				ts.Fatalf("%s: no element %s of %d", path, key, len(in))
			}
			v = in[i]
		default:
			v = nil
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	ts.Check(err)
	return string(text)
}
