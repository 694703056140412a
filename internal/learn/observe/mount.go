package observe

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// mountPoints reads a mountinfo file (proc(5)) into mount points by mount id.
func mountPoints(data []byte) map[uint64]string {
	points := map[uint64]string{}
	for line := range bytes.Lines(data) {
		f := strings.Fields(string(line))
		if len(f) < 5 {
			continue
		}
		if id, err := strconv.ParseUint(f[0], 10, 64); err == nil {
			points[id] = unescape(f[4])
		}
	}
	return points
}

// unescape undoes the octal escapes of blanks and backslashes in mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountTable knows where the mounts of a container are.
type mountTable struct {
	info   *os.File // mountinfo of the container's first program, which outlives the program
	root   uint64   // mount id of the container's root
	points map[uint64]string
}

// forget makes the next look-up read the mounts again.
func (m *mountTable) forget() { m.points = nil }

// point returns where the mount with that id is, "" for the root file system.
// It is not known if no process of the container's first mount namespace, nor
// thread tid in its own, has such a mount.
func (m *mountTable) point(id uint64, tid int) (string, bool) {
	if id == m.root {
		return "", true
	}
	if p, ok := m.points[id]; ok {
		return p, true
	}
	m.read()
	if p, ok := m.points[id]; ok {
		return p, true
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/mountinfo")
	if err != nil {
		return "", false
	}
	p, ok := mountPoints(data)[id]
	if p == "/" {
		p = ""
	}
	if ok {
		m.points[id] = p
	}
	return p, ok
}

func (m *mountTable) read() {
	m.points = map[uint64]string{}
	if _, err := m.info.Seek(0, 0); err != nil {
		return
	}
	var data bytes.Buffer
	if _, err := data.ReadFrom(m.info); err == nil {
		m.points = mountPoints(data.Bytes())
	}
}
