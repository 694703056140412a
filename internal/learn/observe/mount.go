package observe

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	mountinfo "github.com/adamant-sh/adamant/internal/fs/mounts"
)

// mountPoints reads a mountinfo file into mount points by mount id. A line that is
// malformed is passed over: the other mounts are still worth knowing.
func mountPoints(data []byte) map[uint64]string {
	points := map[uint64]string{}
	for line := range strings.Lines(string(data)) {
		if m, err := mountinfo.ParseLine(strings.TrimSuffix(line, "\n")); err == nil {
			points[uint64(m.ID)] = m.Point
		}
	}
	return points
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
