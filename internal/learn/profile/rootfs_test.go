package profile

import (
	"bufio"
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// debian has those entries of every Debian image that matter here.
const debian = `
l /bin -> usr/bin
l /lib -> usr/lib
l /var/run -> /run
l /var/lock -> /run/lock
f /etc/passwd 1200
f /etc/group 500
f /etc/hosts 100
d /etc/ssl
f /usr/bin/sh 125000
f /usr/lib/libc.so.6 1900000
d /usr/local/bin
d /usr/share
d 1777 /tmp
d 1777 /var/tmp
d 1777 /run/lock
d /home
d /mnt
d /opt
d 0700 /root
f /root/.bashrc 570
f /root/.profile 160
d /srv
d /var/backups
d /var/cache/apt
f /var/cache/debconf/config.dat 8000
f /var/lib/dpkg/status 90000
f /var/lib/apt/extended_states 100
d /var/log/apt
f /var/log/dpkg.log 3000
d /var/spool/mail
`

// imageOf returns the tree that the lines describe:
//
//	d|f|l [MODE] [UID:GID] PATH [SIZE | -> TARGET]
//
// Parent directories are added with mode 0755 and owner root.
func imageOf(t *testing.T, texts ...string) tree.Tree {
	t.Helper()
	entries := map[string]tree.Entry{"/": {Path: "/", Kind: tree.Directory, Mode: 0o755}}
	for _, line := range linesOf(strings.Join(texts, "\n")) {
		e := parseEntry(t, line)
		for dir := path.Dir(e.Path); dir != "/"; dir = path.Dir(dir) {
			if _, ok := entries[dir]; !ok {
				entries[dir] = tree.Entry{Path: dir, Kind: tree.Directory, Mode: 0o755}
			}
		}
		entries[e.Path] = e
	}
	var list []tree.Entry
	for _, e := range entries {
		list = append(list, e)
	}
	tr, err := tree.New(list)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func parseEntry(t *testing.T, line string) tree.Entry {
	t.Helper()
	e := tree.Entry{Kind: tree.Directory, Mode: 0o755}
	fields := strings.Fields(line)
	if fields[0] == "f" {
		e.Kind, e.Mode = tree.Regular, 0o644
	}
	for i, f := range fields[1:] {
		n, err := strconv.ParseInt(f, 10, 64)
		switch uid, gid, isOwner := strings.Cut(f, ":"); {
		case strings.HasPrefix(f, "/") && e.Path == "":
			e.Path = f
		case f == "->":
			e.Kind, e.Mode, e.Target = tree.Symlink, 0o777, fields[i+2]
			return e
		case isOwner:
			e.UID, e.GID = number(t, uid), number(t, gid)
		case e.Path == "":
			mode, err := strconv.ParseUint(f, 8, 32)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			e.Mode = uint32(mode)
		case err == nil:
			e.Size = n
		default:
			t.Fatalf("what is %q in %q", f, line)
		}
	}
	return e
}

// traceOf returns the trace that the lines describe:
//
//	OP[,OP…] PATH [-> PEER] EXE[:UID] [BYTES] [!ERRNO] [on MOUNT]
//
// A rename is an access for each path.
func traceOf(t *testing.T, texts ...string) trace.Trace {
	t.Helper()
	tr := trace.Trace{Root: "init", Complete: true}
	for _, line := range linesOf(strings.Join(texts, "\n")) {
		fields := strings.Fields(line)
		a := trace.Access{Path: fields[1], Count: 1}
		rest := fields[2:]
		if rest[0] == "->" {
			a.Peer, rest = rest[1], rest[2:]
		}
		exe, uid, isService := strings.Cut(rest[0], ":")
		a.Exe = "/usr/sbin/" + exe
		if isService {
			a.UID = number(t, uid)
		}
		for i, f := range rest[1:] {
			switch {
			case strings.HasPrefix(f, "!"):
				a.Errno = f[1:]
			case f == "on":
				a.Mount = rest[i+2]
			case i > 0 && rest[i] == "on":
			default:
				a.Bytes = int64(number(t, f))
			}
		}
		for op := range strings.SplitSeq(fields[0], ",") {
			a.Op = trace.Op(op)
			tr.Accesses = append(tr.Accesses, a)
			if a.Op == trace.Rename {
				b := a
				b.Path, b.Peer = a.Peer, a.Path
				tr.Accesses = append(tr.Accesses, b)
			}
		}
	}
	return tr
}

func number(t *testing.T, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func linesOf(text string) []string {
	var out []string
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), " # ")
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// short returns a volume in one line, without its size and reasons.
func short(v Volume) string {
	s := v.MountPath
	if v.File {
		s += " file"
	}
	if v.SubPath != "" {
		s += " subpath=" + v.SubPath
	}
	if v.CopyUp {
		s += " copy-up"
	}
	if v.Mode != 0 {
		s += fmt.Sprintf(" %04o %d:%d", v.Mode, v.UID, v.GID)
	}
	if v.Medium != "" {
		s += " memory"
	}
	return s
}

func shortAll(volumes []Volume) []string {
	var out []string
	for _, v := range volumes {
		out = append(out, short(v))
	}
	return out
}

func pathsOf(writes []Write) []string {
	var out []string
	for _, w := range writes {
		out = append(out, w.Path)
	}
	return out
}

func traces(all ...trace.Trace) []trace.Trace { return all }
