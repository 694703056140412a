// Package mounts reads mount tables: /proc/PID/mountinfo, proc_pid_mountinfo(5).
// It mounts nothing.
package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// A Mount is one line of a mount table.
type Mount struct {
	ID           int
	Device       string // "major:minor" of the file system
	Root         string // directory of the file system that is mounted
	Point        string // where it is mounted, seen from the process's root
	Options      string // of the mount
	Type         string // of the file system
	Source       string
	SuperOptions string // of the file system, as the kernel escaped them: see Unescape
}

// ErrMalformed is returned for a line that the kernel cannot have written.
var ErrMalformed = errors.New("not a line of mountinfo")

// maxLine bounds one line, in bytes. bufio.Scanner's own 64 KiB are not enough:
// an overlay of 500 layers with long names, escaped, has 256 KiB.
const maxLine = 4 << 20

// Self returns the mount table of this process. A mount comes after those that it
// was mounted on.
func Self() ([]Mount, error) { return read("/proc/self/mountinfo") }

// Of returns the mount table of a process, like Self.
func Of(pid int) ([]Mount, error) { return read("/proc/" + strconv.Itoa(pid) + "/mountinfo") }

func read(name string) ([]Mount, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(f)
}

// Parse reads a whole mount table. A line that is malformed is an error, because a
// mount that is overlooked may be written to or removed by mistake.
func Parse(r io.Reader) ([]Mount, error) {
	var table []Mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		m, err := ParseLine(lines.Text())
		if err != nil {
			return nil, err
		}
		table = append(table, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return table, nil
}

// ParseLine reads a line such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// where zero or more optional fields end at the hyphen.
func ParseLine(line string) (Mount, error) {
	before, after, ok := strings.Cut(line, " - ")
	// Blanks in fields are escaped, but a source may be empty: there are two then.
	fields, rest := strings.Split(before, " "), strings.Split(after, " ")
	if !ok || len(fields) < 6 || len(rest) < 3 {
		return Mount{}, fmt.Errorf("%q: %w", line, ErrMalformed)
	}
	id, err := strconv.Atoi(fields[0])
	if err != nil || id < 0 || fields[4] == "" {
		return Mount{}, fmt.Errorf("%q: %w", line, ErrMalformed)
	}
	return Mount{
		ID: id, Device: fields[2], Root: Unescape(fields[3]), Point: Unescape(fields[4]), Options: fields[5],
		Type: rest[0], Source: Unescape(rest[1]),
		// Linux before 3.10 did not escape blanks in the options of cifs.
		SuperOptions: strings.Join(rest[2:], " "),
	}, nil
}

// Escape writes a field as the kernel does, with octal escapes for the characters that
// separate fields and lines.
func Escape(s string) string { return escapes.Replace(s) }

var escapes = strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)

// Unescape resolves the octal escapes (\040 for a blank) of the kernel's
// seq_escape. A backslash that begins none stands for itself.
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, ok := Octal(s[i:])
		if !ok {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(c)
		i += 3
	}
	return b.String()
}

// Octal reads the octal escape that s begins with, if it does.
func Octal(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[1:4], 8, 8)
	return byte(n), err == nil
}
