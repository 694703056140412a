package agentless

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/text"
)

// The bounds of a server's output.
const (
	maxLine    = 1 << 20   // bytes of a line outside the content of a file
	maxEntries = 5_000_000 // of the server
	maxTexts   = 256 << 20 // bytes of all files that facts are read from
	maxPath    = 4096      // bytes (PATH_MAX)
)

// An answer is the part of surveyScript's output that was read.
type answer struct {
	system   []string
	missing  []string
	booted   bool   // with systemd
	device   string // number of the root file system
	entries  []tree.Entry
	byPath   map[string]int        // of entries
	runtime  map[string]tree.Entry // below /run, which is another file system
	odd      int                   // files with a line break in their name
	texts    facts.Texts
	size     int // of all texts
	kernel   facts.Kernel
	tables   map[string][]string // of the kernel, by section
	program  string
	xattrs   bool   // the server has getfattr
	xattrsOf string // the file of the following lines
	unknowns []facts.Unknown
	isWhole  bool // the last section was reached
}

func newAnswer() *answer {
	return &answer{
		byPath: map[string]int{}, runtime: map[string]tree.Entry{}, texts: facts.Texts{}, tables: map[string][]string{},
		kernel: facts.Kernel{Sysctls: map[string]string{}, Sockets: map[string]string{}, Programs: map[string]string{}},
	}
}

var errInvalid = errors.New("the server's answer is invalid")

// read reads sections up to the one called "end".
func (a *answer) read(r *bufio.Reader, nonce string) error {
	var section, arg string
	var text *bytes.Buffer // content of the current section "file"
	for {
		line, whole, err := readLine(r)
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if name, is := strings.CutPrefix(string(line), nonce+" "); is && whole {
			a.endText(arg, text)
			section, arg, _ = strings.Cut(strings.TrimSuffix(name, "\n"), " ")
			if text = nil; section == "file" {
				text = &bytes.Buffer{}
			}
			// Anything after "end" would begin another section and clear it.
			a.isWhole = section == "end"
			a.xattrs = a.xattrs || section == "xattrs"
			continue
		}
		if text != nil {
			if err := a.grow(len(line)); err != nil {
				return err
			}
			text.Write(line)
			continue
		}
		// Only the content of files may have long lines.
		if !whole {
			return fmt.Errorf("%w: a line of more than %d bytes", errInvalid, maxLine)
		}
		if err := a.line(section, arg, strings.TrimSuffix(string(line), "\n")); err != nil {
			return err
		}
	}
	if !a.isWhole {
		return fmt.Errorf("%w: it is truncated", errInvalid)
	}
	return nil
}

// grow counts kept bytes, and fails if there are too many.
func (a *answer) grow(n int) error {
	if a.size += n; a.size > maxTexts {
		return fmt.Errorf("%w: the files that facts are read from have more than %d bytes", errTooLarge, maxTexts)
	}
	return nil
}

// readLine reads a line with its line break. whole is false if it is longer than maxLine
// and only its beginning was read.
func readLine(r *bufio.Reader) (line []byte, whole bool, err error) {
	for len(line) < maxLine {
		var part []byte
		part, err = r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, true, err
		}
	}
	return line, false, nil
}

// endText stores the content of a file, without the line break that precedes each
// section.
func (a *answer) endText(file string, text *bytes.Buffer) {
	if text != nil && isPath(file) {
		a.texts[file] = bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	}
}

// isPath reports whether a text is a clean absolute path that the kernel can
// return.
func isPath(p string) bool {
	return len(p) <= maxPath && strings.HasPrefix(p, "/") && path.Clean(p) == p && !strings.ContainsAny(p, "\x00\n")
}

// line parses a line of a section. The last line of each section is empty.
func (a *answer) line(section, arg, line string) error {
	if line == "" {
		return nil
	}
	switch section {
	case "system":
		a.system = append(a.system, line)
	case "booted":
		a.booted = true
	case "missing":
		a.missing = append(a.missing, line)
	case "entries":
		return a.entry(line)
	case "runtime":
		e, _, err := parseEntry(line)
		if err != nil {
			return err
		}
		a.runtime[e.Path] = e
		return a.grow(len(line))
	case "odd":
		a.odd++
	case "links":
		a.link(line)
	case "xattrs":
		a.xattr(line)
	case "sums":
		if sum, file, ok := sumLine(line, 64); ok {
			// A file that was created after the entries were listed is not compared.
			if i, known := a.byPath[file]; known && a.entries[i].Kind == tree.Regular {
				a.entries[i].Digest = "sha256:" + sum
			}
		}
	case "errors":
		a.errorMessage(line)
	case "mounts", "modules", "sockets":
		a.tables[section+arg] = append(a.tables[section+arg], line)
		return a.grow(len(line))
	case "sysctls":
		if file, value, ok := strings.Cut(line, ":"); ok {
			name := strings.ReplaceAll(strings.TrimPrefix(file, "/proc/sys/"), "/", ".")
			a.kernel.Sysctls[name] += value + " " // grep prints a line for each line of a value
		}
		return a.grow(len(line))
	case "programs":
		if name, is := strings.CutPrefix(line, "="); is {
			a.program = name
		} else {
			a.kernel.Programs[line] = a.program
		}
		return a.grow(len(line))
	}
	return nil
}

// kinds are the file types of a mode, st_mode & S_IFMT.
var kinds = map[uint64]tree.Kind{
	0o100000: tree.Regular, 0o040000: tree.Directory, 0o120000: tree.Symlink,
	0o020000: tree.CharDevice, 0o060000: tree.BlockDevice, 0o010000: tree.FIFO, 0o140000: tree.Socket,
}

// parseEntry parses "mode user group size major minor device path". mode, major and
// minor are hexadecimal.
func parseEntry(line string) (e tree.Entry, device string, err error) {
	f := strings.SplitN(line, " ", 8)
	if len(f) < 8 || !isPath(f[7]) {
		return e, "", fmt.Errorf("%w: entry %.80q", errInvalid, line)
	}
	var bad error
	number := func(text string, base, bits int) uint64 {
		n, err := strconv.ParseUint(text, base, bits)
		bad = errors.Join(bad, err)
		return n
	}
	mode := number(f[0], 16, 32)
	e = tree.Entry{
		Path: f[7], Kind: kinds[mode&0o170000], Mode: uint32(mode & 0o7777),
		UID: uint32(number(f[1], 10, 32)), GID: uint32(number(f[2], 10, 32)),
	}
	size := number(f[3], 10, 63)
	switch e.Kind {
	case 0:
		bad = errors.Join(bad, errInvalid)
	case tree.Regular:
		e.Size = int64(size)
	case tree.CharDevice, tree.BlockDevice:
		e.Major, e.Minor = uint32(number(f[4], 16, 32)), uint32(number(f[5], 16, 32))
	}
	if bad != nil {
		return e, "", fmt.Errorf("%w: entry %.80q", errInvalid, line)
	}
	return e, f[6], nil
}

// entry adds an entry of the root file system.
func (a *answer) entry(line string) error {
	e, device, err := parseEntry(line)
	if err != nil {
		return err
	}
	if e.Path == "/" {
		a.device = device
	}
	if e.Kind == tree.Directory && device != a.device {
		return nil // a mount point; find -xdev lists it, but not its content
	}
	if _, twice := a.byPath[e.Path]; twice {
		return fmt.Errorf("%w: %.80q is listed twice", errInvalid, e.Path)
	}
	if len(a.entries) == maxEntries {
		return fmt.Errorf("%w: %w", errTooLarge, rootfs.ErrTooMany)
	}
	a.byPath[e.Path] = len(a.entries)
	a.entries = append(a.entries, e)
	return nil
}

// link parses a name and its target: "/a -> b" of GNU stat, "'/a' -> 'b'" of
// busybox. A name may contain an arrow, so the first arrow after the name of a
// listed symbolic link counts.
func (a *answer) link(line string) {
	const arrow = " -> "
	quoted := strings.HasPrefix(line, "'")
	for at := 0; ; {
		i := strings.Index(line[at:], arrow)
		if i < 0 {
			return // the rest of a target with a line break
		}
		name, target := line[:at+i], line[at+i+len(arrow):]
		if quoted {
			name, target = strings.Trim(name, "'"), strings.TrimSuffix(strings.TrimPrefix(target, "'"), "'")
		}
		n, known := a.byPath[name]
		known = known && a.entries[n].Kind == tree.Symlink
		if known {
			a.entries[n].Target = target
		}
		e, isRuntime := a.runtime[name]
		if isRuntime = isRuntime && e.Kind == tree.Symlink; isRuntime {
			e.Target = target
			a.runtime[name] = e
		}
		if known || isRuntime {
			return
		}
		at += i + len(arrow)
	}
}

// xattr parses the output of getfattr(1): "# file: name", then "name=0xvalue".
func (a *answer) xattr(line string) {
	if file, is := strings.CutPrefix(line, "# file: "); is {
		a.xattrsOf = unescape(file)
		return
	}
	name, value, ok := strings.Cut(line, "=")
	n, known := a.byPath[a.xattrsOf]
	raw, err := decodeHex(value)
	if !ok || !known || err != nil || !rootfs.IsXattr(name) {
		return
	}
	if a.entries[n].Xattrs == nil {
		a.entries[n].Xattrs = map[string]string{}
	}
	a.entries[n].Xattrs[name] = raw
}

// decodeHex parses "0x" and the bytes of a value.
func decodeHex(text string) (string, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	return string(raw), err
}

// octal matches the escape sequence of getfattr(1) for special bytes of a name.
var octal = regexp.MustCompile(`\\[0-7]{3}`)

func unescape(name string) string {
	return octal.ReplaceAllStringFunc(name, func(code string) string {
		n, _ := strconv.ParseUint(code[1:], 8, 16) // three such digits are a number
		return string([]byte{byte(n)})
	})
}

// sumLine parses "sum  name". If GNU's program escapes a name with backslashes, the
// line begins with one.
func sumLine(line string, digits int) (sum, file string, ok bool) {
	escaped := strings.HasPrefix(line, `\`)
	line = strings.TrimPrefix(line, `\`)
	if len(line) < digits+2 || line[digits] != ' ' || strings.Trim(line[:digits], "0123456789abcdef") != "" {
		return "", "", false
	}
	file = line[digits+2:]
	if escaped {
		file = strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(file)
	}
	return line[:digits], file, true
}

// errorMessage parses a line of a command's standard error, or its exit status. The
// status matters only if a command died without a message.
func (a *answer) errorMessage(line string) {
	if status, is := strings.CutPrefix(line, "exit "); is {
		if status == "0" || status == "1" || status == "123" {
			return // find and xargs exit with 1 and 123 after errors that have messages
		}
		line = "a command ended with status " + status
	}
	u := facts.Unknown{Path: "/", Reason: text.Escape(line)}
	if m := errorLine.FindStringSubmatch(line); m != nil && isPath(m[1]) {
		u = facts.Unknown{Path: m[1], Reason: text.Escape(m[2])}
		// stat and sha256sum get their names from find, so a missing file there
		// changed during the survey and its state is unknown.
		if u.Reason == "No such file or directory" && !strings.HasPrefix(line, "stat:") && !strings.HasPrefix(line, "sha256sum:") {
			return // a starting point of find that this server does not have
		}
	}
	if facts.IsCompared(u.Path) {
		a.unknowns = append(a.unknowns, u)
	}
}

// errorLine matches the error messages of find, stat and others.
var errorLine = regexp.MustCompile(`^[a-z0-9]+: (?:can(?:no|')t [a-z ]+ )?'?(/.*?)'?: (.*)$`)

// machines maps the output of uname -m to GOARCH.
var machines = map[string]string{
	"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "riscv64": "riscv64",
	"s390x": "s390x", "ppc64le": "ppc64le", "loongarch64": "loong64", "mips64": "mips64",
}

// offline returns the server of an answer.
func (a *answer) offline() (*facts.Offline, error) {
	if len(a.missing) > 0 {
		return nil, fmt.Errorf("the server has no %s", text.Escape(strings.Join(a.missing, ", ")))
	}
	if len(a.system) != 3 || a.system[0] != "Linux" {
		return nil, fmt.Errorf("%w: want Linux, uname prints %.80q", errInvalid, strings.Join(a.system, " "))
	}
	if a.device == "" {
		return nil, fmt.Errorf("%w: the root directory is missing", errInvalid)
	}
	s := &facts.Offline{Arch: machines[a.system[1]], Texts: a.texts, Kernel: &a.kernel, NoXattrs: !a.xattrs, Unknowns: a.unknowns, Booted: a.booted}
	if s.Arch == "" {
		s.Arch = text.Escape(a.system[1])
	}
	a.kernel.Release = a.system[2]
	a.kernel.Mounts, a.kernel.Modules = strings.Join(a.tables["mounts"], "\n"), strings.Join(a.tables["modules"], "\n")
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		a.kernel.Sockets[table] = strings.Join(a.tables["sockets"+table], "\n")
	}
	if a.odd > 0 {
		s.Unknowns = append(s.Unknowns, facts.Unknown{Path: "/", Reason: fmt.Sprintf("%d names with a line break are left out", a.odd)})
	}
	if !a.xattrs {
		s.Unknowns = append(s.Unknowns, facts.Unknown{Path: "/", Reason: "extended attributes, file capabilities among them, are not compared: the server has no getfattr (package attr)"})
	}
	known := slices.DeleteFunc(a.entries, func(e tree.Entry) bool {
		if e.Kind != tree.Symlink || e.Target != "" {
			return false
		}
		s.Unknowns = append(s.Unknowns, facts.Unknown{Path: e.Path, Reason: "its target was not read"})
		return true
	})
	// It also checks that each parent of an entry is a directory.
	var err error
	if s.Files, err = tree.New(known); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	runtime := slices.DeleteFunc(slices.Collect(maps.Values(a.runtime)), func(e tree.Entry) bool { return e.Kind == tree.Symlink && e.Target == "" })
	if s.Runtime, err = tree.New(runtime); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	return s, nil
}
