package observe

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A place is the resolved path of a traced program, seen from the container's
// root.
type place struct {
	path   string // canonical
	mount  string // mount point it lies on, "" for the root file system
	size   int64  // of the file there, 0 if there is none
	kind   uint16 // S_IF bits of the mode, 0 if there is none
	exists bool
	known  bool // if not, the rest is undefined
}

// A target is a path as a program passed it. rest is relative to the object
// that base, a link below /proc/TID, leads to. An empty base is the program's
// root directory. An empty rest is the object itself.
type target struct {
	base string
	rest string
}

// A view resolves the paths of a container's programs. It uses descriptors and
// openat2(RESOLVE_IN_ROOT) for all lookups, so no link in the container leads
// out of it.
type view struct {
	root   int    // the container's root directory
	prefix string // path of that directory in the links of /proc, "" if "/"
	mounts mountTable
	users  userMap
	// moved is set once any process may have another root directory than the
	// container's.
	moved bool
}

// openView opens a view of the container from the namespaces of thread tid.
func openView(tid int) (*view, error) {
	dir := procDir(tid)
	root, err := unix.Open(dir+"root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open root of process %d: %w", tid, err)
	}
	v := &view{root: root}
	if v.prefix, err = os.Readlink(dir + "root"); err != nil {
		v.close()
		return nil, fmt.Errorf("read root of process %d: %w", tid, err)
	}
	v.prefix = strings.TrimSuffix(v.prefix, "/")
	var stat unix.Statx_t
	if err := unix.Statx(root, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stat); err != nil {
		v.close()
		return nil, fmt.Errorf("stat root of process %d: %w", tid, err)
	}
	v.mounts.root = stat.Mnt_id
	if users, err := os.ReadFile(dir + "uid_map"); err == nil {
		v.users = parseUserMap(users)
	}
	if v.mounts.info, err = os.Open(dir + "mountinfo"); err != nil {
		v.close()
		return nil, fmt.Errorf("read mounts of process %d: %w", tid, err)
	}
	return v, nil
}

func (v *view) close() {
	unix.Close(v.root)
	if v.mounts.info != nil {
		v.mounts.info.Close()
	}
}

func procDir(tid int) string { return "/proc/" + strconv.Itoa(tid) + "/" }

// target interprets the arguments of a call. It replaces links below /proc that
// refer to the caller; for the tracer they would refer to the tracer.
func (v *view) target(tid, dirfd int, given []byte) target {
	if !bytes.HasPrefix(given, []byte("/")) {
		base := procDir(tid) + "cwd"
		if dirfd != unix.AT_FDCWD {
			base = descriptorPath(tid, dirfd)
		}
		return target{base: base, rest: string(given)}
	}
	if rest, ok := ownLink(given); ok {
		link, below, _ := strings.Cut(rest, "/")
		if link == "fd" {
			var n string
			n, below, _ = strings.Cut(below, "/")
			link += "/" + n
		}
		return target{base: procDir(tid) + link, rest: below}
	}
	return target{rest: string(given)}
}

func descriptorPath(tid, fd int) string { return procDir(tid) + "fd/" + strconv.Itoa(fd) }

// ownLink returns the part after /proc/self/ if that is a link to an object.
func ownLink(given []byte) (string, bool) {
	if n, ok := bytes.CutPrefix(given, []byte("/dev/")); ok {
		switch name := string(n); {
		case strings.HasPrefix(name, "fd/"):
			return name, true
		case name == "stdin":
			return "fd/0", true
		case name == "stdout":
			return "fd/1", true
		case name == "stderr":
			return "fd/2", true
		}
		return "", false
	}
	rest, ok := bytes.CutPrefix(given, []byte("/proc/self/"))
	if !ok {
		rest, ok = bytes.CutPrefix(given, []byte("/proc/thread-self/"))
	}
	if !ok {
		return "", false
	}
	name := string(rest)
	link, below, _ := strings.Cut(name, "/")
	return name, link == "cwd" || link == "root" || link == "fd" && below != ""
}

// link reads a link of /proc and returns the path seen from the container's
// root. ok is false for links to pipes, sockets and so on, and to files
// outside.
func (v *view) link(name string) (string, bool) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(name, buf[:])
	if err != nil || n == len(buf) || buf[0] != '/' {
		return "", false
	}
	p := string(buf[:n])
	if v.prefix != "" {
		below, ok := strings.CutPrefix(p, v.prefix)
		if !ok || below != "" && below[0] != '/' {
			return "", false
		}
		p = below
		if p == "" {
			p = "/"
		}
	}
	return p, true
}

// openAt opens the object that t leads to with O_PATH. The caller must close
// it.
func (v *view) openAt(tid int, t target, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	if t.base != "" && t.rest == "" {
		// base is a magic link of /proc. Following it leads to the object even
		// if the object has no path any more.
		return unix.Open(t.base, int(how.Flags&^unix.O_NOFOLLOW), 0)
	}
	start := ""
	if t.base != "" {
		var ok bool
		if start, ok = v.link(t.base); !ok {
			return -1, unix.ENOENT
		}
	}
	if !v.moved {
		return unix.Openat2(v.root, start+"/"+t.rest, &how)
	}
	root, err := unix.Open(procDir(tid)+"root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	if t.base == "" {
		return unix.Openat2(root, t.rest, &how)
	}
	top, ok := v.link(procDir(tid) + "root")
	if !ok {
		return -1, unix.ENOENT
	}
	// start is a path from the container's root. It is resolved below the
	// process's own root if it is inside, because absolute links lead there for
	// the process.
	below, inside := strings.CutPrefix(start, strings.TrimSuffix(top, "/"))
	if inside && (below == "" || below[0] == '/') {
		return unix.Openat2(root, below+"/"+t.rest, &how)
	}
	return unix.Openat2(v.root, start+"/"+t.rest, &how)
}

const statMask = unix.STATX_TYPE | unix.STATX_SIZE | unix.STATX_NLINK | unix.STATX_MNT_ID

// name resolves a path whose last component is created, removed or replaced: it
// follows links only up to the parent directory.
func (v *view) name(tid int, t target) place {
	rest := strings.TrimRight(t.rest, "/")
	dir, last := path.Split(rest)
	if last == "" || last == "." || last == ".." {
		return v.object(tid, t, true)
	}
	if dir == "" && t.base != "" {
		return v.below(tid, t.base, last)
	}
	fd, err := v.openAt(tid, target{t.base, dir}, unix.O_DIRECTORY)
	if err != nil {
		return v.guess(tid, t)
	}
	defer unix.Close(fd)
	return v.below(tid, "/proc/self/fd/"+strconv.Itoa(fd), last)
}

// below returns the place of a name in the directory that a link of /proc leads
// to.
func (v *view) below(tid int, dirLink, last string) place {
	dir, ok := v.link(dirLink)
	if !ok {
		return place{}
	}
	p := place{path: join(dir, last), known: true}
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dirLink+"/"+last, unix.AT_SYMLINK_NOFOLLOW, statMask, &stat)
	if err == nil {
		p.exists, p.size = true, sizeOf(&stat)
	}
	// The call changes the directory. For a missing name, and for a mount
	// point, whose own mount is another one, the directory's mount counts.
	if err != nil || stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		if err := unix.Statx(unix.AT_FDCWD, dirLink, 0, unix.STATX_MNT_ID, &stat); err != nil {
			return place{}
		}
	}
	p.mount, p.known = v.mounts.point(stat.Mnt_id, tid)
	return p
}

func sizeOf(stat *unix.Statx_t) int64 {
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	return int64(stat.Size)
}

// object resolves a path to the object that it leads to.
func (v *view) object(tid int, t target, follow bool) place {
	flags := uint64(0)
	if !follow {
		flags = unix.O_NOFOLLOW
	}
	fd, err := v.openAt(tid, t, flags)
	if err != nil {
		return v.guess(tid, t)
	}
	defer unix.Close(fd)
	p, _ := v.opened(tid, "/proc/self/fd/"+strconv.Itoa(fd))
	return p
}

// opened returns the place of an open file, by its link in /proc, and its type.
// An unlinked file has its former path. Pipes, sockets, memory files and the
// like have no place.
func (v *view) opened(tid int, fdLink string) (place, uint16) {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, fdLink, 0, statMask, &stat); err != nil {
		return place{}, 0
	}
	kind := stat.Mode & unix.S_IFMT
	name, ok := v.link(fdLink)
	if !ok {
		return place{}, kind
	}
	// The kernel appends this suffix to the path of an unlinked file. A file
	// that is still linked may have a name with this suffix.
	if stat.Nlink == 0 {
		name = strings.TrimSuffix(name, " (deleted)")
	}
	p := place{path: name, size: sizeOf(&stat), kind: kind, exists: true}
	p.mount, p.known = v.mounts.point(stat.Mnt_id, tid)
	return p, kind
}

// guess returns a place for a path that does not exist: it resolves the part
// that exists and appends the rest as written. It resolves links that refer to the
// caller itself, see ownTarget.
func (v *view) guess(tid int, t target) place {
	if next, ok := v.ownTarget(tid, t); ok {
		return v.object(tid, next, true)
	}
	rest := strings.TrimRight(t.rest, "/")
	missing := ""
	for rest != "" {
		var last string
		rest, last = path.Split(rest)
		missing = "/" + last + missing
		fd, err := v.openAt(tid, target{t.base, rest}, 0)
		if err == nil {
			defer unix.Close(fd)
			p, _ := v.opened(tid, "/proc/self/fd/"+strconv.Itoa(fd))
			p.path, p.exists, p.size, p.kind = path.Clean(p.path+missing), false, 0, 0
			return p
		}
		rest = strings.TrimRight(rest, "/")
	}
	return place{}
}

// ownTarget follows symbolic links while the last component is one, and reports
// whether they end in a link to a descriptor of the caller (/var/log/error.log
// -> /dev/stderr -> /proc/self/fd/2).
func (v *view) ownTarget(tid int, t target) (target, bool) {
	for range 8 {
		if t.rest == "" {
			return target{}, false
		}
		fd, err := v.openAt(tid, t, unix.O_NOFOLLOW)
		if err != nil {
			return target{}, false
		}
		var buf [unix.PathMax]byte
		n, err := unix.Readlinkat(fd, "", buf[:])
		unix.Close(fd)
		if err != nil || n == 0 {
			return target{}, false
		}
		to := buf[:n]
		if buf[0] != '/' {
			dir, _ := path.Split(strings.TrimRight(t.rest, "/"))
			t = target{t.base, dir + string(to)}
			continue
		}
		if t = v.target(tid, unix.AT_FDCWD, to); t.base != "" {
			return t, true
		}
	}
	return target{}, false
}
