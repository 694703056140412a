package overlay

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A level is a directory that is being compared. There is one for each directory on the
// way from the root to the current one, so that it must be small.
type level struct {
	trail  *trail
	upper  inode   // the upper directory, which has the same path; zero if there is none
	merge  *merge  // nil if there is only the upper directory
	open   *opened // nil while the directories are closed
	source int     // the directory that is being listed
	offset int64   // in its listing
}

// merge are the directories of the lower layers at a level.
type merge struct {
	lower []place // merged below the upper one
	want  []place // that the lower layers alone merge at the path
	// isPlain means that both are the same, so that only names in the upper directory
	// can differ.
	isPlain bool
}

// opened are the open directories of a level.
type opened struct {
	upper, lower, want []handle
	list               listing
}

// levelSize is roughly what a level needs, with its trail, in bytes; placeSize is
// for each place of its merge.
const (
	levelSize = 128
	placeSize = 128 // with a trail
)

func (lv *level) hasUpper() bool { return lv.upper != inode{} }

func (lv *level) size() int {
	size := levelSize + len(lv.trail.name)
	if lv.trail.size <= maxText {
		size += lv.trail.size
	}
	if lv.merge != nil {
		size += placeSize * (len(lv.merge.lower) + len(lv.merge.want))
	}
	return size
}

// upperPlace is where the upper directory of the level is.
func (lv *level) upperPlace() place {
	return place{layer: 0, dir: lv.trail.parent, name: lv.trail.name, id: lv.upper}
}

func (lv *level) isPlain() bool { return lv.merge == nil || lv.merge.isPlain }

// find returns the directory that a place is in, or nil.
func (o *opened) find(p place) *handle {
	for _, dirs := range [][]handle{o.upper, o.lower, o.want} {
		for i := range dirs {
			if dirs[i].layer == p.layer && dirs[i].trail == p.dir {
				return &dirs[i]
			}
		}
	}
	return nil
}

// sources are the directories to list: the upper one, and if any name can differ, as
// after a rename, the lower ones too.
func (o *opened) sources(isPlain bool) []handle {
	if isPlain {
		return o.upper
	}
	return slices.Concat(o.upper, o.lower, o.want)
}

func (o *opened) close(isPlain bool) {
	if o.list.fd >= 0 {
		unix.Close(o.list.fd)
	}
	closeAll(o.upper)
	closeAll(o.lower)
	if !isPlain {
		closeAll(o.want)
	}
}

// count is the number of open descriptors.
func (o *opened) count() int { return 1 + len(o.upper) + len(o.lower) + len(o.want) }

// openLevel opens the directories of a level. find opens one of them.
func (w *walk) openLevel(lv *level, find func(place) (handle, error)) error {
	o := &opened{list: listing{fd: -1}}
	isPlain := lv.isPlain()
	add := func(list *[]handle, p place) error {
		h, err := find(p)
		if err != nil {
			return err
		}
		if p.dir == lv.trail.parent && p.name == lv.trail.name {
			h.trail = lv.trail // one trail for all layers
		}
		*list = append(*list, h)
		return nil
	}
	var err error
	if lv.hasUpper() {
		err = add(&o.upper, lv.upperPlace())
	}
	if m := lv.merge; m != nil {
		for i := 0; i < len(m.lower) && err == nil; i++ {
			err = add(&o.lower, m.lower[i])
		}
		for i := 0; i < len(m.want) && err == nil && !isPlain; i++ {
			err = add(&o.want, m.want[i])
		}
		if isPlain {
			o.want = o.lower
		}
	}
	if err != nil {
		o.close(isPlain)
		return err
	}
	lv.open = o
	w.opened += o.count()
	return nil
}

// closeLevel closes the directories of a level. Its listing can be continued.
func (w *walk) closeLevel(lv *level) {
	if lv.open == nil {
		return
	}
	w.opened -= lv.open.count()
	if buf := lv.open.list.buf; buf != nil {
		listings.Put(buf)
	}
	lv.open.close(lv.isPlain())
	lv.open = nil
}

// next returns the next name at a level that can differ, or an empty one at the end.
func (w *walk) next(lv *level) (string, error) {
	sources := lv.open.sources(lv.isPlain())
	list := &lv.open.list
	for lv.source < len(sources) {
		if list.fd < 0 {
			fd, err := openAt(sources[lv.source].fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
			if err != nil {
				return "", fmt.Errorf("read directory: %w", err)
			}
			list.fd, list.rest, list.offset = fd, nil, lv.offset
			if list.buf == nil {
				list.buf = listings.Get().(*[listingSize]byte)
			}
			if lv.offset != 0 {
				if _, err := unix.Seek(fd, lv.offset, unix.SEEK_SET); err != nil {
					return "", fmt.Errorf("read directory: %w", err)
				}
			}
		}
		name, err := list.next()
		if err != nil {
			return "", err
		}
		lv.offset = list.offset
		if name == "" {
			unix.Close(list.fd)
			list.fd, lv.offset = -1, 0
			lv.source++
			continue
		}
		if isListed, err := anyHas(sources[:lv.source], name); err != nil || !isListed {
			return name, err
		}
	}
	return "", nil
}

// anyHas reports whether a directory has a name.
func anyHas(dirs []handle, name string) (bool, error) {
	for _, d := range dirs {
		var st unix.Stat_t
		err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, unix.ENOENT) {
			return false, fmt.Errorf("look at %s: %w", name, err)
		}
	}
	return false, nil
}

// maxOpen is the number of descriptors beyond which the directories of the upper levels
// are closed.
const maxOpen = 256

// maxStack bounds the memory of all levels, in bytes. Directories nested deeper are
// unknown: with names of one letter that is below 100,000 others.
const maxStack = 16 << 20

// errTooDeep is returned for a directory below too many others.
var errTooDeep = errors.New("nested too deeply")

// push begins to compare a directory below the current one.
func (w *walk) push(lv *level) error {
	if w.stackSize+lv.size() > maxStack {
		return errTooDeep
	}
	near := &opened{}
	if n := len(w.stack); n > 0 {
		near = w.stack[n-1].open
	}
	if err := w.openLevel(lv, func(p place) (handle, error) { return w.openDir(p, near) }); err != nil {
		return err
	}
	if err := w.stamp(lv); err != nil {
		w.closeLevel(lv)
		return err
	}
	w.stack = append(w.stack, *lv)
	w.stackSize += lv.size()
	for w.opened > maxOpen && w.closed < len(w.stack)-1 {
		w.closeLevel(&w.stack[w.closed])
		w.closed++
	}
	return nil
}

// pop ends the current directory and continues with the one above.
func (w *walk) pop() {
	last := w.stack[len(w.stack)-1]
	w.stack[len(w.stack)-1] = level{}
	w.stack = w.stack[:len(w.stack)-1]
	w.stackSize -= last.size()
	for len(w.stack) > 0 && w.closed == len(w.stack) {
		w.closed--
		lv := &w.stack[w.closed]
		err := w.openLevel(lv, func(p place) (handle, error) { return w.openAbove(p, last.open) })
		if err == nil {
			break
		}
		// The rest of its names cannot be listed.
		w.fail(lv.trail, "", err)
		w.closeLevel(&last)
		last = *lv
		w.stack = w.stack[:w.closed]
		w.stackSize -= last.size()
	}
	w.closeLevel(&last)
}

// openAbove opens a directory again, from one that was found in it if there is one.
func (w *walk) openAbove(p place, below *opened) (handle, error) {
	h := handle{layer: p.layer, id: p.id}
	if below != nil {
		for _, b := range slices.Concat(below.upper, below.lower, below.want) {
			if b.layer != p.layer || b.trail.parent == nil {
				continue
			}
			// Not openat2: it refuses to leave the directory. The directory above is
			// another one if a container moved this one; verify then fails.
			fd, err := unix.Openat(b.fd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			if h.fd = fd; h.verify() == nil {
				h.trail = b.trail.parent
				return h, nil
			}
		}
	}
	return w.openDir(p, &opened{})
}

// A stamp is the status of an upper directory before it was listed.
type stamp struct {
	trail *trail
	stat  unix.Stat_t
}

// maxStamps is the number of upper directories whose stamps are kept. If there are more,
// recheck walks all of them again.
const maxStamps = 4096

// stamp records the status of a level's upper directory. It is called before the listing,
// so that a change during the listing is found.
func (w *walk) stamp(lv *level) error {
	if !lv.hasUpper() {
		return nil
	}
	s := stamp{trail: lv.trail}
	if err := unix.Fstat(lv.open.upper[0].fd, &s.stat); err != nil {
		return fmt.Errorf("look at directory: %w", err)
	}
	if w.isRecheck {
		if since := w.began; s.stat.Ctim.Sec > since.Sec || s.stat.Ctim.Sec == since.Sec && s.stat.Ctim.Nsec >= since.Nsec {
			w.unsettle(lv.trail, "")
		}
		return nil
	}
	if len(w.stamps) == maxStamps || lv.trail.size > maxText {
		w.stamps, w.isLarge = nil, true
	}
	if !w.isLarge {
		w.stamps = append(w.stamps, s)
	}
	return nil
}

// checkStamps finds the directories that changed since they were listed.
func (w *walk) checkStamps() {
	for _, s := range w.stamps {
		at := place{dir: s.trail.parent, name: s.trail.name, id: inode{s.stat.Dev, s.stat.Ino}}
		fd, err := w.layers.open(at, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			w.unsettle(s.trail, "")
			continue
		}
		var now unix.Stat_t
		if err := unix.Fstat(fd, &now); err != nil || !isUnchanged(&now, &s.stat) {
			w.unsettle(s.trail, "")
		}
		unix.Close(fd)
	}
}

// fail records the error of a name in a directory, or of the directory itself. A path that
// disappeared is unsettled instead of unknown: its directory changed during the walk.
func (w *walk) fail(dir *trail, name string, err error) {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, tree.ErrChanged) {
		w.unsettle(dir, name)
		return
	}
	w.visitor.Unknown(nearest(dir, name), err)
}

// maxUnsettled is the number of unsettled directories that are listed.
const maxUnsettled = 100

func (w *walk) unsettle(dir *trail, name string) {
	if len(w.unsettled) < maxUnsettled {
		w.unsettled[nearest(dir, name)] = true
	}
}

// nearest returns the path of a name in a directory, or of a directory above it if that
// path is too long.
func nearest(dir *trail, name string) string {
	if name == "" || dir.sizeOf(name) > maxText {
		return dir.text
	}
	return dir.short(name)
}
