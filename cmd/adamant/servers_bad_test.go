package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/sshd"
)

// A siteClient runs the real program against the servers of a site.
type siteClient struct {
	*site
	t       *testing.T
	program string
	dir     string // with an inventory and a home
}

func newSiteClient(t *testing.T) *siteClient {
	v := &siteClient{startServers(t), t, filepath.Join(openLab(t).bin, "adamant"), t.TempDir()}
	check(t, v.lab.WriteHome(v.dir, v.servers))
	return v
}

// A programResult is the output of the program and the memory that it used.
type programResult struct {
	code     int
	out, err string
	memory   int64 // bytes at most
}

// run runs adamant servers. Because a server may be hostile, the program must end, use
// little memory and write no control characters.
func (v *siteClient) run(args ...string) programResult {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, v.program, append([]string{"servers"}, args...)...)
	cmd.Dir = v.dir
	cmd.Env = append(os.Environ(), "HOME="+filepath.Join(v.dir, "home"), "SSH_AUTH_SOCK=", "ADAMANT_INVENTORY=hosts.ini")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		v.t.Fatalf("adamant servers %s did not end: %v", strings.Join(args, " "), err)
	}
	s := programResult{cmd.ProcessState.ExitCode(), out.String(), errs.String(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10}
	if own := peak(v.t); s.memory > max(512<<20, own) { // a child inherits the peak of its parent
		v.t.Errorf("the program used %d MiB", s.memory>>20)
	}
	for _, text := range []string{s.out, s.err} {
		isControl := func(r rune) bool { return r != '\n' && r != '\t' && unicode.Is(unicode.C, r) }
		if i := strings.IndexFunc(text, isControl); i >= 0 {
			v.t.Errorf("the output has control characters: %q", text[max(0, i-40):min(len(text), i+40)])
		}
		if len(text) > 256<<10 {
			v.t.Errorf("%d bytes are printed", len(text))
		}
	}
	return s
}

// corrupt replaces the agent on a server by a script.
func (v *siteClient) corrupt(n int, script string) {
	v.t.Helper()
	srv := v.servers[n]
	found, err := filepath.Glob(filepath.Join(srv.Root, "root/.cache/adamant", strings.Repeat("?", 64)))
	if err != nil || len(found) != 1 {
		v.t.Fatalf("%s has programs %v: %v", srv.Name, found, err)
	}
	check(v.t, os.WriteFile(found[0]+".new", []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	check(v.t, os.Rename(found[0]+".new", found[0]))
}

// peak returns the peak memory of this process, in bytes.
func peak(t *testing.T) int64 {
	t.Helper()
	var own syscall.Rusage
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &own))
	return own.Maxrss << 10
}

// frame returns a shell command that sends a message of the agent's protocol.
func frame(text string) string { return fmt.Sprintf("printf '%%s\\n%%s' %d '%s'", len(text), text) }

// filling returns a shell command that sends a message of nearly 64 MiB: begin, many
// times again, and end.
func filling(begin, again, end string) string {
	n := (64<<20 - len(begin+end)) / len(again)
	return fmt.Sprintf("printf '%%s\n%%s' %d '%s'; yes '%s' | tr -d '\n' | head -c %d; printf '%%s' '%s'",
		len(begin)+n*len(again)+len(end), begin, again, n*len(again), end)
}

// helloHead is the beginning of a valid hello.
var helloHead = fmt.Sprintf(`{"version":%d,`, facts.Version)

var goodHello = frame(helloHead + `"live":true,"summary":{"digest":"x"}}`)

// TestBadServers checks the program against servers whose links are cut and servers
// whose agents are hostile scripts.
func TestBadServers(t *testing.T) {
	t.Parallel()
	v := newSiteClient(t)
	if s := v.run("compare"); s.code != 0 {
		t.Fatalf("%+v", s)
	}
	t.Run("cuts", v.testCuts)
	t.Run("agents", v.testAgents)
	t.Run("changes", v.testChanges)
}

// testAgents compares servers, one of which has a hostile agent.
func (v *siteClient) testAgents(t *testing.T) {
	const noProtocol = "the other side does not speak the agent's protocol"
	for _, test := range []struct{ name, script, says string }{
		{"nothing", "exit 0", "the agent ended without an answer"},
		{"endless output", "exec yes", `it says "y"`},
		{"endless zeros", "exec cat /dev/zero", noProtocol},
		{"length too long", "echo 99999999999999999999", `it says "99999999999999999999"`},
		{"length too large", "echo 67108865", `it says "67108865"`},
		{"negative length", "echo -1", `it says "-1"`},
		{"truncated", "echo 100; echo {", "the agent ended without an answer"},
		{"much of nothing", "echo 67108864; head -c 67108864 /dev/zero", "a text or number has more than 1048576 bytes"},
		{"millions of facts", filling(helloHead+`"facts":[`, "{},", "{}]}"), "its lists have more than 524288 elements"},
		{"millions of zeros", filling(helloHead+`"facts":[`, "0,", "0]}"), "its lists have more than 524288 elements"},
		{"one long fact", filling(helloHead+`"facts":[{"key":"`, `\u001b[2J`, `"}]}`), "a text or number has more than 1048576 bytes"},
		{"escapes", `printf '\033]0;owned\007\033[2J\n'; sleep 1`, `it says "\x1b]0;owned\a\x1b[2J"`},
		{"escapes on stderr", `printf '\033[2J\033]0;owned\007\302\233\n' >&2; exit 9`, `exit status 9: \x1b[2J\x1b]0;owned\x07`},
		{"escapes in an error", goodHello + "; " + frame(`{"error":"\u001b[2J\u009b"}`), `the agent says: \x1b[2J\u009b`},
		{"endless answers", goodHello + "; exec yes", `it says "y"`},
		{"endless files", goodHello + "; " + filling(`{"listed":[[`, "{},", "{}]]}"), "its lists have more than 524288 elements"},
		{"ends while it is asked", goodHello + "; read -r x; kill -9 $$", "ended by signal KILL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v.t = t
			v.corrupt(2, test.script)
			s := v.run("compare")
			unreached := strings.Contains(s.out, "\nUNREACHED: web-3\n") && strings.Contains(s.out, test.says)
			if s.code != int(report.Incomplete) || !strings.HasPrefix(s.out, "2 servers, ") || !unreached {
				t.Errorf("exit %d, want the others compared, and to be told %s:\n%s%s", s.code, test.says, s.out, s.err)
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		v.t = t
		v.corrupt(1, "exec sleep 1000")
		v.corrupt(2, "exec yes >&2")
		s := v.run("compare", "--patience", "20s")
		if s.code != int(report.Incomplete) || !strings.HasPrefix(s.out, "1 server, ") || strings.Count(s.out, "it took longer than 20s") != 2 {
			t.Errorf("exit %d, want two that took longer:\n%s%s", s.code, s.out, s.err)
		}
	})
	t.Run("names", func(t *testing.T) {
		v.t = t
		v.servers[0].Exec("sh", "-c", `mkdir "/etc/$(printf '\033]0;owned\007')" && : >"/etc/$(printf 'a\nweb-2 differs \302\233')"`)
		v.servers[0].Exec("sh", "-c", `printf '\033[2J\302\233 line\n' >/etc/motd; printf '* * * * * root \033[2J\n' >/etc/cron.d/x`)
		v.corrupt(1, goodHello+"; "+frame(`{"listed":[[{"name":"\u001b[2J","kind":"\u001b[2J","owner":"\u001b[2J"}]]}`)+"; "+frame(`{"owners":[{"package":"\u001b[2J"}]}`))
		s := v.run("compare", "web-1", "web-2")
		for _, want := range []string{`/etc/\x1b]0;owned\x07`, `/etc/a\x0aweb-2 differs \u009b`, `cron /etc/cron.d/x: * * * * * root \x1b[2J`, `of package \x1b[2J`} {
			if s.code != int(report.Findings) || !strings.Contains(s.out, want) {
				t.Errorf("exit %d, want 3 and %s:\n%s%s", s.code, want, s.out, s.err)
			}
		}
	})
}

// testCuts cuts the connection of an update and of its undo after random numbers of
// bytes. The reported outcome must be true all the same.
func (v *siteClient) testCuts(t *testing.T) {
	v.t = t
	srv := v.servers[0]
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 7 {
		q := sshd.Quality{CutDown: int64(1500 + 400*i + random.IntN(400)), Cuts: 1}
		file := fmt.Sprintf("/etc/cut-%d", i)
		for _, step := range []struct {
			args []string
			done bool // whether the file exists after a success
		}{{[]string{"update", "web-1", "--run", "echo >" + file}, true}, {[]string{"update", "--undo"}, false}} {
			srv.Through(q)
			check(t, v.lab.WriteHome(v.dir, v.servers))
			s := v.run(step.args...)
			isThere := srv.Exec("sh", "-c", "ls "+file+" 2>/dev/null || true") != ""
			t.Logf("cut after %d bytes: exit %d, %t", q.CutDown, s.code, isThere)
			lost := s.code == 5 && strings.HasPrefix(s.out, "web-1: unreachable; ")
			if !(s.code == 0 && isThere == step.done || lost && isThere != step.done) {
				t.Errorf("%s, cut after %d bytes: exit %d, and the change is there: %t\n%s%s", step.args, q.CutDown, s.code, isThere, s.out, s.err)
			}
			if s.code != 0 {
				break
			}
		}
	}
	srv.Through(sshd.Quality{})
}

// testChanges updates a server whose agent lies about the change.
func (v *siteClient) testChanges(t *testing.T) {
	const noAnswer = "the server does not answer as it should"
	for _, test := range []struct {
		name, script string
		code         int
		says         string
	}{
		{"nothing", "exit 0", 5, noAnswer},
		{"garbage", `printf '\033[2J\n'`, 5, noAnswer + `: invalid character '\x1b'`},
		{"endless line", "exec cat /dev/zero", 5, "a line has more than 67108864 bytes"},
		{"endless states", `exec yes '{"id":"x","stage":"saving"}'`, 5, "it tells of more than 20 stages"},
		{"no end", `echo '{"id":"x","stage":"changing"}'`, 5, "it was changing when it was last heard of: "},
		{"millions of files", `printf '{"id":"x","stage":"confirmed","files":['; yes '{},' | tr -d '\n' | head -c 60000000; echo '{}]}'`, 5, "more than 524288 elements"},
		{"escapes", `printf '%s\n' '{"id":"x","stage":"refused","failed":true,"cause":"\u001b[2J\nweb-1: changed"}'`, 6, `web-1: unchanged, and failed; \x1b[2J web-1: changed`},
		{"a long cause", `printf '{"id":"x","stage":"refused","failed":true,"cause":"'; yes ' no' | tr -d '\n' | head -c 1000000; echo '"}'`, 6, "no no no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v.t = t
			v.corrupt(0, `[ "$2" = change ] || exit 0`+"\n"+test.script)
			s := v.run("update", "web-1", "--run", "true", "--confirm", "1s")
			if s.code != test.code || !strings.HasPrefix(s.out, "web-1: ") || !strings.Contains(s.out, test.says) {
				t.Errorf("exit %d, want %d, and to be told %s:\n%s%s", s.code, test.code, test.says, s.out, s.err)
			}
		})
	}
}
