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

// Options configures Open. The zero value reads everything.
type Options struct {
	// Mounts are the mount points in the container. Files and directories that a
	// runtime created as mount points are omitted (see isMountTarget), unless
	// Mounts is nil.
	Mounts []string
	// Limit is the maximum number of entries, which bounds memory; 1,000,000 if
	// zero. Directories beyond it are unknown.
	Limit int
}

// Changes are the paths of an overlay that may differ from the merged lower
// layers. They include files that were copied up but are equal. Content is read on
// demand, until Changes is closed.
type Changes struct {
	Want tree.Tree // of the lower layers, without digests
	Got  tree.Tree // of the merged tree, without digests
	// Unknowns could not be read. Each stands for everything below it.
	Unknowns []tree.Unknown
	// Unsettled are directories that kept changing while they were read. Their
	// changes that were found are real, but others may be missing.
	Unsettled []string
	// Moved maps the path of a renamed directory in Got to its path in the lower
	// layers.
	Moved map[string]string

	layers *layers
	files  map[string]file
}

// attempts is the number of walks if directories change during each of them.
const attempts = 3

// Open reads the changes of an overlay. The cost is that of the upper
// directory: only directories that were deleted, replaced or renamed are
// listed in the lower layers too.
//
// Paths that could not be read are in Unknowns. An error means that there is no
// result at all.
func Open(ctx context.Context, m Mount, opts Options) (*Changes, error) {
	if m.Upper == "" {
		return &Changes{}, nil // read-only: nothing can be written to it
	}
	l, err := openLayers(m)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		c, err := read(ctx, l, m, opts)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if len(c.Unsettled) == 0 || try == attempts {
			return c, nil
		}
	}
}

// Close releases the layers.
func (c *Changes) Close() error {
	if c.layers == nil {
		return nil
	}
	return c.layers.Close()
}

func read(ctx context.Context, l *layers, m Mount, opts Options) (*Changes, error) {
	w := newWalk(l, opts)
	if m.Index {
		var err error
		if w.copies, err = l.openIndex(m); err != nil {
			return nil, fmt.Errorf("read the index of hard links: %w", err)
		}
	}
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	return w.changes()
}

// A walk compares the merged directories with the lower ones, one after the other.
// It does not recurse and has only one directory open in each layer: a container can
// nest more directories than a process may have open.
type walk struct {
	*layers
	opts      Options
	want, got []tree.Entry
	files     map[string]file
	unknowns  []tree.Unknown
	moved     map[string]string
	queue     []task
	stamps    []stamp
	unsettled map[string]bool
	copies    map[inode]node // copies of hard linked files, by their originals
	owner     unix.Stat_t    // of the upper directory itself
}

// A task is one directory to compare.
type task struct {
	path  string  // in the merged tree
	upper *place  // nil if the upper layer does not have it
	lower []place // the directories merged below the upper one
	want  []place // the directories that the lower layers alone merge at this path
}

// isPlain reports whether only names in the upper directory can differ. With
// copies of hard linked files any name can.
func (w *walk) isPlain(t task) bool { return len(w.copies) == 0 && slices.Equal(t.lower, t.want) }

// A stamp is the status of an upper directory before it was listed.
type stamp struct {
	path string
	place
	stat unix.Stat_t
}

func newWalk(l *layers, opts Options) *walk {
	if opts.Limit == 0 {
		opts.Limit = 1_000_000
	}
	return &walk{
		layers: l, opts: opts,
		files: map[string]file{}, moved: map[string]string{}, unsettled: map[string]bool{},
	}
}

func (w *walk) run(ctx context.Context) error {
	if err := w.start(); err != nil {
		return err
	}
	for len(w.queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		if len(w.want)+len(w.got) > w.opts.Limit {
			w.unknown(t.path, rootfs.ErrTooMany)
			continue
		}
		if err := w.directory(t); err != nil {
			w.fail(t.path, err)
		}
	}
	w.checkStamps()
	return nil
}

// start compares the roots themselves.
func (w *walk) start() error {
	upper, err := w.root(0)
	if err != nil {
		return fmt.Errorf("upper directory: %w", err)
	}
	lower, err := w.root(w.lower[0].layer)
	if err != nil {
		return fmt.Errorf("lower directory: %w", err)
	}
	w.owner = upper.stat
	if err := w.add("/", &object{node: lower}, &object{node: upper}); err != nil {
		return err
	}
	w.queue = []task{{path: "/", upper: &upper.place, lower: w.lower, want: w.lower}}
	return nil
}

// fail records the error of a path. A path that disappeared is unsettled instead of
// unknown: its directory changed during the walk.
func (w *walk) fail(path string, err error) {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		w.unsettled[path] = true
		return
	}
	w.unknown(path, err)
}

func (w *walk) unknown(path string, err error) {
	w.unknowns = append(w.unknowns, tree.Unknown{Path: path, Err: err})
}

// directory compares the entries of one directory.
func (w *walk) directory(t task) error {
	d, err := w.openTask(t)
	if err != nil {
		return err
	}
	defer d.close()
	names, err := d.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		path := join(t.path, name)
		if err := w.name(d, path, name); err != nil {
			w.fail(path, err)
		}
	}
	return nil
}

// name compares one name of a directory, and queues it if it is a directory itself.
func (w *walk) name(d *openTask, path, name string) error {
	want, err := w.lookup(d.want, name)
	if err != nil {
		return err
	}
	got, err := w.merged(d, name, want)
	if err != nil || want == nil && got == nil {
		return err
	}
	// The same place means that both sides are the same file of a lower layer.
	if want == nil || got == nil || want.place != got.place {
		if err := w.add(path, want, got); err != nil {
			return err
		}
	}
	w.below(path, want, got)
	return nil
}

// merged returns the object of the merged tree at a name. want is the object of
// the lower layers alone.
func (w *walk) merged(d *openTask, name string, want *object) (*object, error) {
	if d.has[name] {
		n, err := w.node(*d.upper, name)
		switch {
		case errors.Is(err, errAbsent): // removed during the walk: the directory's stamp differs too
		case err != nil:
			return nil, err
		case n.isWhiteout():
			return nil, nil
		case d.isPlain && n.isSimple():
			return n.over(want), nil
		default:
			return w.complete(name, n, d.lower)
		}
	}
	o, err := w.lookup(d.lower, name)
	if err != nil {
		return nil, err
	}
	return w.indexed(name, o, d.lower)
}

// below queues a directory, unless both sides are known to be equal.
func (w *walk) below(path string, want, got *object) {
	t := task{path: path}
	if want != nil {
		t.want = want.dirs
	}
	if got != nil && got.isDir() {
		t.lower = got.dirs
		if got.layer == 0 { // the upper layer
			t.upper, t.lower = &got.place, got.dirs[1:]
			w.noteMove(path, t)
		}
	}
	if t.upper != nil || len(t.want)+len(t.lower) > 0 && !w.isPlain(t) {
		w.queue = append(w.queue, t)
	}
}

// noteMove records the original path of a renamed directory, if a single redirect
// leads there.
func (w *walk) noteMove(path string, t task) {
	if len(t.lower) > 0 && "/"+t.lower[0].path != path && !slices.Equal(t.lower, t.want) {
		w.moved[path] = "/" + t.lower[0].path
	}
}

// add lists a path with the nodes that its content is read from.
func (w *walk) add(path string, want, got *object) error {
	var f file
	for _, side := range []struct {
		*object
		list    *[]tree.Entry
		content **node
	}{{want, &w.want, &f.want}, {got, &w.got, &f.got}} {
		if side.object == nil {
			continue
		}
		e, err := side.entry(path)
		if err != nil {
			return err
		}
		*side.content = side.data
		if want == nil && w.isMadeByRuntime(e) || want != nil && path == "/" && w.isOwnRoot() {
			continue
		}
		*side.list = append(*side.list, e)
	}
	if f.want != nil || f.got != nil {
		w.files[path] = f
	}
	return nil
}

// checkStamps finds the directories that changed since they were listed.
func (w *walk) checkStamps() {
	for _, s := range w.stamps {
		fd, err := w.open(s.place, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			w.unsettled[s.path] = true
			continue
		}
		var now unix.Stat_t
		if err := unix.Fstat(fd, &now); err != nil || !isUnchanged(&now, &s.stat) {
			w.unsettled[s.path] = true
		}
		unix.Close(fd)
	}
}

func (w *walk) changes() (*Changes, error) {
	c := &Changes{Unknowns: w.unknowns, Moved: w.moved, layers: w.layers, files: w.files}
	for path := range w.unsettled {
		c.Unsettled = append(c.Unsettled, path)
	}
	slices.SortFunc(c.Unsettled, tree.ComparePaths)
	var err error
	if c.Want, err = tree.New(w.want); err != nil {
		return nil, fmt.Errorf("lower layers: %w", err)
	}
	if c.Got, err = tree.New(w.got); err != nil {
		return nil, fmt.Errorf("merged tree: %w", err)
	}
	return c, nil
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}
