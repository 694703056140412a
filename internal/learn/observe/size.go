package observe

import (
	"bytes"
	"encoding/binary"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/text"
)

// maxSized bounds the directories whose files are measured.
const maxSized = 4096

// unnamed is the name under which files without a name are measured.
const unnamed = "#"

// A meter measures the files of a container's root when they are closed after
// writing, also those without a name: O_TMPFILE, and files that were unlinked
// while they were open. The kernel reports the last close of each open file by
// fanotify, so that no program stops for it.
type meter struct {
	view   *view
	events *os.File
	done   chan struct{}

	mu   sync.Mutex // guards dirs
	dirs map[string]map[string]int64
}

// newMeter returns nil if files cannot be measured. Sizes are then those that
// files had when they were opened, removed or renamed, and at the end.
func newMeter(v *view) *meter {
	const class = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK
	fd, err := unix.FanotifyInit(class, unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC|unix.O_NOATIME)
	if err != nil {
		return nil
	}
	// Only the container's own mount of its root, not that of the host.
	if unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_MOUNT, unix.FAN_CLOSE_WRITE, v.root, ".") != nil {
		unix.Close(fd)
		return nil
	}
	m := &meter{view: v, events: os.NewFile(uintptr(fd), "fanotify"), done: make(chan struct{}), dirs: map[string]map[string]int64{}}
	go m.run()
	return m
}

// stop measures the files that were closed until now and ends the meter.
func (m *meter) stop() {
	if m == nil {
		return
	}
	m.events.SetReadDeadline(time.Unix(1, 0))
	<-m.done
	m.events.Close()
}

func (m *meter) run() {
	defer close(m.done)
	var buf [4096]byte
	for {
		n, err := m.events.Read(buf[:])
		if err != nil {
			break
		}
		m.handle(buf[:n])
	}
	// After the deadline a read of the file fails at once, even if there are
	// events.
	raw, err := m.events.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), buf[:])
			if err != nil || n <= 0 {
				return
			}
			m.handle(buf[:n])
		}
	})
}

// handle measures the files of events (struct fanotify_event_metadata).
func (m *meter) handle(events []byte) {
	const length = int(unsafe.Sizeof(unix.FanotifyEventMetadata{}))
	for len(events) >= length {
		var e unix.FanotifyEventMetadata
		if err := binary.Read(bytes.NewReader(events), binary.LittleEndian, &e); err != nil || int(e.Event_len) < length || int(e.Event_len) > len(events) {
			return
		}
		events = events[e.Event_len:]
		if e.Fd >= 0 { // not an overflow of the queue
			m.measure(int(e.Fd))
			unix.Close(int(e.Fd))
		}
	}
}

func (m *meter) measure(fd int) {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size == 0 {
		return
	}
	name, ok := m.view.link("/proc/self/fd/" + strconv.Itoa(fd))
	if !ok {
		return
	}
	dir, base := path.Split(name)
	if stat.Nlink == 0 {
		base = strings.TrimSuffix(base, " (deleted)")
		if strings.HasPrefix(base, unnamed) {
			base = unnamed // O_TMPFILE: "#" and the inode number
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = text.EscapeInvalid(strings.TrimSuffix(dir, "/"))
	in := m.dirs[dir]
	if in == nil {
		if len(m.dirs) >= maxSized {
			return
		}
		in = map[string]int64{}
		m.dirs[dir] = in
	}
	base = text.EscapeInvalid(base)
	if _, ok := in[base]; !ok && len(in) > maxNames && base != unnamed {
		base = "*"
	}
	in[base] = max(in[base], stat.Size)
}

// enlarge raises the bytes of successful accesses on the root file system to the
// largest size of their file when it was closed.
func (m *meter) enlarge(accesses []trace.Access) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range accesses {
		a := &accesses[i]
		if a.Errno != "" || a.Mount != "" {
			continue
		}
		switch a.Op {
		case trace.Tmpfile:
			a.Bytes = max(a.Bytes, m.dirs[strings.TrimSuffix(a.Path, "/")][unnamed])
		case trace.Create, trace.Write, trace.Truncate:
			dir, base := path.Split(a.Path)
			in := m.dirs[strings.TrimSuffix(dir, "/")]
			if base != "*" {
				a.Bytes = max(a.Bytes, in[base])
				continue
			}
			for name, size := range in {
				if name != unnamed {
					a.Bytes = max(a.Bytes, size)
				}
			}
		}
	}
}
