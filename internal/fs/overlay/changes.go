package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Options configures Walk. The zero value reads everything.
type Options struct {
	// Mounts are the mount points in the container. Files and directories that a
	// runtime created as mount points are omitted (see isMountTarget), unless
	// Mounts is nil.
	Mounts []string
	// WorkDir is the working directory of the container. It is omitted, with the
	// directories above it, if the runtime created it.
	WorkDir WorkDir
}

// An Overlay is an overlay whose layers are open.
type Overlay struct {
	mount  Mount
	layers *layers // nil if it is read-only: nothing can be written to it
}

// Open opens the layers of an overlay.
func Open(m Mount) (*Overlay, error) {
	if m.Upper == "" {
		return &Overlay{mount: m}, nil
	}
	l, err := openLayers(m)
	if err != nil {
		return nil, err
	}
	return &Overlay{mount: m, layers: l}, nil
}

// Close closes the layers. Pairs cannot be used any more.
func (o *Overlay) Close() error {
	if o.layers == nil {
		return nil
	}
	return o.layers.Close()
}

// A Visitor receives what Walk finds, one after the other.
type Visitor interface {
	// Pair is called for a path that may differ from the merged lower layers. It may be
	// a file that was copied up but is equal. Reading the pair is cheapest before Pair
	// returns.
	Pair(*Pair)
	// Unknown is called for a path that could not be read. It stands for everything below
	// it.
	Unknown(path string, err error)
}

// Walk reads the changes of an overlay, in no order that a caller could use. The cost is
// that of the upper directory: only directories that were deleted, replaced or renamed are
// listed in the lower layers too. Memory is bounded, whatever the container made.
//
// It returns the directories that changed while they were read, at most 100 of them: their
// changes that were found are real, but others may be missing. If the context ends, what
// was seen before is with the visitor.
func (o *Overlay) Walk(ctx context.Context, opts Options, v Visitor) (unsettled []string, err error) {
	if o.layers == nil {
		return nil, nil
	}
	w := &walk{layers: o.layers, opts: opts, visitor: v, unsettled: map[string]bool{}}
	// The clock of the times in inodes, which is a few milliseconds behind.
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &w.began); err != nil {
		return nil, fmt.Errorf("read clock: %w", err)
	}
	if o.mount.Index {
		if w.copies, err = o.layers.openIndex(o.mount); err != nil {
			return nil, fmt.Errorf("read the index of hard links: %w", err)
		}
	}
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	if w.isLarge {
		w.isRecheck = true
		err = w.run(ctx)
	} else {
		w.checkStamps()
	}
	for path := range w.unsettled {
		unsettled = append(unsettled, path)
	}
	slices.SortFunc(unsettled, tree.ComparePaths)
	return unsettled, err
}

// A walk compares the merged directories with the lower ones, depth first. It does not
// recurse, and has the directories of only some levels open: a container can nest more
// directories than a process may have open.
type walk struct {
	*layers
	opts      Options
	visitor   Visitor
	stack     []level
	stackSize int // bytes
	closed    int // levels, from the root, whose directories are closed
	opened    int // descriptors
	stamps    []stamp
	isLarge   bool // there are too many directories for stamps
	isRecheck bool // this is the second walk, for directories that changed since began
	began     unix.Timespec
	unsettled map[string]bool
	copies    map[inode]node // copies of hard linked files, by their originals
	owner     unix.Stat_t    // of the upper directory itself
}

// namesPerCheck is the number of names after which the context is checked, besides before
// each directory.
const namesPerCheck = 256

func (w *walk) run(ctx context.Context) error {
	defer func() {
		for i := range w.stack {
			w.closeLevel(&w.stack[i])
		}
		w.stack, w.closed, w.stackSize = nil, 0, 0
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.start(); err != nil {
		return err
	}
	for names := 0; len(w.stack) > 0; {
		lv := &w.stack[len(w.stack)-1]
		name, err := w.next(lv)
		if err != nil {
			w.fail(lv.trail, "", err)
		}
		if err != nil || name == "" {
			w.pop()
			continue
		}
		below, err := w.name(lv, name)
		if err != nil {
			w.fail(lv.trail, name, err)
		}
		if names++; below != nil || names%namesPerCheck == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if below == nil {
			continue
		}
		if err := w.push(below); err != nil {
			w.fail(lv.trail, name, err)
		}
	}
	return nil
}

// start compares the roots themselves.
func (w *walk) start() error {
	upper, err := w.root(0)
	if err != nil {
		return fmt.Errorf("upper directory: %w", err)
	}
	var want *object
	if len(w.lower) > 0 {
		lower, err := w.root(w.lower[0].layer)
		if err != nil {
			return fmt.Errorf("lower directory: %w", err)
		}
		want = &object{node: lower}
	}
	w.owner = upper.stat
	top := &level{trail: newRootTrail(), upper: upper.id}
	if !w.isRecheck {
		if err := w.visit(top.trail, "", want, &object{node: upper}, handle{fd: -1}); err != nil {
			return err
		}
		if want != nil {
			top.merge = &merge{lower: w.lower, want: w.lower, isPlain: len(w.copies) == 0}
		}
	}
	return w.push(top)
}

// name compares one name of a directory. It returns a level if the name is to be compared
// as a directory too.
func (w *walk) name(lv *level, name string) (*level, error) {
	if w.isRecheck {
		return w.upperOnly(lv, name)
	}
	want, err := w.lookup(lv.open.want, name)
	if err != nil {
		return nil, err
	}
	got, at, err := w.merged(lv, name, want)
	if err != nil || want == nil && got == nil {
		return nil, err
	}
	// The same place means that both sides are the same file of a lower layer.
	if want == nil || got == nil || !want.isSame(got.place) {
		if err := w.visit(lv.trail, name, want, got, at); err != nil {
			return nil, err
		}
	}
	return w.below(lv, name, want, got), nil
}

// upperOnly returns a level if the name is a directory in the upper layer.
func (w *walk) upperOnly(lv *level, name string) (*level, error) {
	if kind := lv.open.list.kind; kind != unix.DT_DIR && kind != unix.DT_UNKNOWN {
		return nil, nil
	}
	var st unix.Stat_t
	err := unix.Fstatat(lv.open.upper[0].fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, err
	}
	return &level{trail: lv.trail.child(name), upper: inode{st.Dev, st.Ino}}, nil
}

// merged returns the object of the merged tree at a name, and the directory in which its
// content is. want is the object of the lower layers alone.
func (w *walk) merged(lv *level, name string, want *object) (*object, handle, error) {
	none := handle{fd: -1}
	if lv.hasUpper() {
		n, err := w.node(lv.open.upper[0], name)
		switch {
		case errors.Is(err, errAbsent): // in no upper directory, or removed during the walk
		case err != nil:
			return nil, none, err
		case n.isWhiteout():
			return nil, none, nil
		case lv.isPlain() && n.isSimple():
			return n.over(want), lv.open.upper[0], nil
		default:
			o, err := w.complete(name, n, lv.open.lower)
			return o, none, err
		}
	}
	o, err := w.lookup(lv.open.lower, name)
	if err != nil {
		return nil, none, err
	}
	o, err = w.indexed(name, o, lv.open.lower)
	return o, none, err
}

// below returns the level of a directory, unless both sides are known to be equal.
func (w *walk) below(lv *level, name string, want, got *object) *level {
	below := level{}
	var m merge
	if want != nil {
		m.want = want.dirs
	}
	if got != nil && got.isDir() {
		m.lower = got.dirs
		if got.layer == 0 { // the upper layer
			below.upper, m.lower = got.id, got.dirs[1:]
		}
	}
	// With copies of hard linked files any name can differ.
	m.isPlain = len(w.copies) == 0 && areSame(m.lower, m.want)
	if !below.hasUpper() && (m.isPlain || len(m.want)+len(m.lower) == 0) {
		return nil
	}
	if len(m.want)+len(m.lower) > 0 {
		below.merge = &m
	}
	below.trail = lv.trail.child(name)
	return &below
}

// visit passes a name to the visitor. dir is the open directory of the upper layer in
// which the merged tree's file is, unless its descriptor is negative.
func (w *walk) visit(trail *trail, name string, want, got *object, dir handle) error {
	p := &Pair{layers: w.layers, trail: trail, name: name, at: dir}
	path := "/"
	if name != "" {
		path = trail.short(name)
	}
	for _, side := range []struct {
		*object
		entry   **tree.Entry
		content *content
	}{{want, &p.Want, &p.want}, {got, &p.Got, &p.got}} {
		if side.object == nil {
			continue
		}
		e, err := side.object.entry(path)
		if err != nil {
			return err
		}
		if side.data != nil {
			*side.content = content{place: side.data.place, size: side.data.stat.Size, isThere: true}
		}
		if want == nil && w.isMadeByRuntime(e) || want != nil && path == "/" && w.isOwnRoot() {
			continue
		}
		*side.entry = &e
	}
	if want == nil && got != nil && got.isDir() && len(got.dirs) > 1 {
		p.from = &got.dirs[1]
	}
	if p.Want == nil && p.Got == nil {
		return nil
	}
	w.visitor.Pair(p)
	p.at = handle{fd: -1}
	return nil
}

// Changes are the pairs of an overlay in memory.
type Changes struct {
	Want tree.Tree // of the lower layers, without digests
	Got  tree.Tree // of the merged tree, without digests
	// Unknowns could not be read. Each stands for everything below it.
	Unknowns []tree.Unknown

	want, got []tree.Entry
	limit     int
}

// maxChanges is the number of entries that ReadChanges returns.
const maxChanges = 1_000_000

// ReadChanges returns all changes of an overlay, for a caller that needs them at once.
// Memory grows with their number, up to a limit; those beyond it are unknown. Paths that
// are longer than PATH_MAX are omitted: they lie in new directories, which are listed.
func ReadChanges(ctx context.Context, m Mount, opts Options) (*Changes, error) {
	o, err := Open(m)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var c *Changes
	for range 3 { // walks, if directories change during each of them
		c = &Changes{limit: maxChanges}
		unsettled, err := o.Walk(ctx, opts, c)
		if err != nil {
			return nil, err
		}
		if len(unsettled) == 0 {
			break
		}
	}
	if c.Want, err = tree.New(c.want); err != nil {
		return nil, fmt.Errorf("lower layers: %w", err)
	}
	if c.Got, err = tree.New(c.got); err != nil {
		return nil, fmt.Errorf("merged tree: %w", err)
	}
	return c, nil
}

// Pair implements Visitor.
func (c *Changes) Pair(p *Pair) {
	if p.Size() > maxText {
		return
	}
	if len(c.want)+len(c.got) >= c.limit {
		if len(c.Unknowns) < maxUnsettled {
			c.Unknown(p.Nearest(), rootfs.ErrTooMany)
		}
		return
	}
	if p.Want != nil {
		c.want = append(c.want, *p.Want)
	}
	if p.Got != nil {
		c.got = append(c.got, *p.Got)
	}
}

// Unknown implements Visitor.
func (c *Changes) Unknown(path string, err error) {
	c.Unknowns = append(c.Unknowns, tree.Unknown{Path: path, Err: err})
}
