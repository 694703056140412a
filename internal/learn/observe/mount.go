package observe

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	mountinfo "github.com/adamant-sh/adamant/internal/fs/mounts"
)

// mountPoints parses a mountinfo file and returns the mount points by mount ID.
// It skips malformed lines.
func mountPoints(data []byte) map[uint64]string {
	points := map[uint64]string{}
	for line := range strings.Lines(string(data)) {
		if m, err := mountinfo.ParseLine(strings.TrimSuffix(line, "\n")); err == nil {
			points[uint64(m.ID)] = m.Point
		}
	}
	return points
}

// A mountTable finds the mount points of a container.
type mountTable struct {
	info   *os.File // mountinfo of the container's first program, which outlives the program
	root   uint64   // mount id of the container's root
	points map[uint64]string
}

// forget makes the next lookup read the mounts again.
func (m *mountTable) forget() { m.points = nil }

// point returns the mount point of a mount ID, "" for the root file system. ok
// is false if no process in the container's first mount namespace, and not
// thread tid in its own namespace, has such a mount.
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
