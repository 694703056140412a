package overlay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// mountPoint is one line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mountPoint struct {
	id      int
	device  string // "major:minor" of the file system
	root    string // of the mount within its file system
	point   string // where it is mounted, seen from the process's root
	fsType  string
	options string // of the file system, as the kernel escaped them
}

// errMountinfo says that a line is not one that the kernel writes.
var errMountinfo = errors.New("not a line of mountinfo")

// maxMountinfo is the longest line, in bytes, that is read. An overlay of 500
// layers with long names, escaped, has 256 KiB.
const maxMountinfo = 4 << 20

// parseMountinfo reads a whole mount table.
func parseMountinfo(r io.Reader) ([]mountPoint, error) {
	var mounts []mountPoint
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxMountinfo)
	for lines.Scan() {
		m, err := parseMountPoint(lines.Text())
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return mounts, nil
}

// parseMountPoint reads a line such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// where zero or more optional fields end at the hyphen.
func parseMountPoint(line string) (mountPoint, error) {
	before, after, ok := strings.Cut(line, " - ")
	fields, rest := strings.Split(before, " "), strings.Split(after, " ")
	if !ok || len(fields) < 6 || len(rest) < 3 {
		return mountPoint{}, fmt.Errorf("%q: %w", line, errMountinfo)
	}
	id, err := strconv.Atoi(fields[0])
	if err != nil {
		return mountPoint{}, fmt.Errorf("%q: %w", line, errMountinfo)
	}
	return mountPoint{
		id: id, device: fields[2], root: unescape(fields[3]), point: unescape(fields[4]),
		fsType: rest[0], options: strings.Join(rest[2:], " "),
	}, nil
}

// unescape resolves the octal escapes (\040 for a blank) of the kernel's
// seq_escape. A backslash that begins none stands for itself.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, ok := octal(s[i:])
		if !ok {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(c)
		i += 3
	}
	return b.String()
}

// octal reads the escape that s begins with.
func octal(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[1:4], 8, 8)
	return byte(n), err == nil
}
