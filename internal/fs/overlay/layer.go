package overlay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// layers are the open directories of an overlay: first the upper one, then the
// lower ones, then the data-only ones.
type layers struct {
	fds        []int
	lower      []place // the roots of the lower layers, top first
	data       []place // the roots of the layers that only hold data
	marks      marks
	noRedirect bool
}

// marks are how the layers of an overlay are marked.
type marks struct {
	prefix     string // of the overlay's own attributes
	plainUpper bool   // the upper directory has no marks: a device 0:0 is one
	allXattrs  bool   // entries have the overlay's attributes too
}

// A place is a name in a directory of a layer, or the layer itself if dir is nil, with the
// file that was there.
type place struct {
	layer int
	dir   *trail
	name  string
	id    inode
}

// trail returns the path of a directory at the place in its layer.
func (p place) trail() *trail {
	if p.dir == nil {
		return newRootTrail()
	}
	return p.dir.child(p.name)
}

// path returns the whole path in the layer.
func (p place) path() string {
	if p.dir == nil {
		return "/"
	}
	return p.dir.full(p.name)
}

// isSame reports whether two places are the same file of the same layer.
func (p place) isSame(q place) bool { return p.layer == q.layer && p.id == q.id }

// areSame reports whether the same directories are merged in both lists.
func areSame(a, b []place) bool { return slices.EqualFunc(a, b, place.isSame) }

// openLayers opens all directories of a mount, which must have an upper one and may have no
// lower one.
func openLayers(m Mount) (*layers, error) {
	space, err := openNamespace(m.Namespace)
	if err != nil {
		return nil, err
	}
	defer space.Close()
	l := &layers{noRedirect: m.NoRedirect}
	l.marks = marks{prefix: "trusted.overlay.", plainUpper: m.NoMarks, allXattrs: m.AllXattrs}
	if m.UserXattr {
		l.marks.prefix = "user.overlay."
	}
	if m.NoMarks {
		l.marks.prefix = "none." // no attribute has this name
	}
	for i, dir := range slices.Concat([]string{m.Upper}, m.Lower, m.Data) {
		fd, err := space.open(dir)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.fds = append(l.fds, fd)
		switch {
		case i == 0:
		case i <= len(m.Lower):
			l.lower = append(l.lower, place{layer: i})
		default:
			l.data = append(l.data, place{layer: i})
		}
	}
	for i := range l.lower {
		n, err := l.root(l.lower[i].layer)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lower directory: %w", err), l.Close())
		}
		l.lower[i] = n.place
	}
	return l, nil
}

// Close closes all layers.
func (l *layers) Close() error {
	var errs []error
	for _, fd := range l.fds {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

// refuse keeps a lookup in its layer. Overlayfs itself follows no symbolic links in
// a layer and does not see mounts in it.
const refuse = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// openAt opens a name, or a path of several, below an open directory.
func openAt(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: refuse}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		// EAGAIN: a rename or mount raced with the lookup, see openat2(2).
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

// open opens a place by its path. It opens a path longer than PATH_MAX (4096 bytes) in
// parts, because a container could otherwise hide files in a deep directory.
func (l *layers) open(p place, flags uint64) (int, error) {
	const most = 4000
	dir, rest := l.fds[p.layer], strings.TrimPrefix(p.path(), "/")
	if rest == "" {
		rest = "."
	}
	for isOwn := false; ; isOwn = true {
		part, how := rest, flags
		if len(rest) > most {
			// There is a slash: a name has at most 255 bytes.
			part = rest[:strings.LastIndexByte(rest[:most], '/')]
			how = unix.O_PATH | unix.O_DIRECTORY
		}
		fd, err := openAt(dir, part, how)
		if isOwn {
			unix.Close(dir)
		}
		if err != nil || part == rest {
			return fd, err
		}
		dir, rest = fd, rest[len(part)+1:]
	}
}

// A handle is a directory of a layer, open while its names are looked up.
type handle struct {
	layer int
	trail *trail // in the layer
	id    inode
	fd    int
}

// openDir opens a directory at a place: by its name if near has the directory above it,
// and otherwise by its path.
func (l *layers) openDir(p place, near *opened) (handle, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY
	h := handle{layer: p.layer, trail: p.trail(), id: p.id}
	var err error
	if dir := near.find(p); dir != nil {
		h.fd, err = openAt(dir.fd, p.name, flags)
	} else {
		h.fd, err = l.open(p, flags)
	}
	if err == nil {
		err = h.verify()
	}
	if err != nil {
		return h, fmt.Errorf("open directory: %w", err)
	}
	return h, nil
}

// verify closes the handle if it is another directory than the one that was found
// before.
func (h *handle) verify() error {
	var st unix.Stat_t
	err := unix.Fstat(h.fd, &st)
	if err == nil && (inode{st.Dev, st.Ino}) != h.id {
		err = tree.ErrChanged
	}
	if err != nil {
		unix.Close(h.fd)
	}
	return err
}

func closeAll(dirs []handle) {
	for _, d := range dirs {
		unix.Close(d.fd)
	}
}
