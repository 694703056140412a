package rootfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/fs/work"
)

// WalkOptions configures Walk. The zero value walks everything without reading
// content.
type WalkOptions struct {
	// Path is the start of the walk, without symbolic links; the root if empty.
	Path string
	// Hash reads all regular files and fills Entry.Digest.
	Hash bool
	// OneFileSystem omits mounts below Path. They become Unknowns with ErrMounted.
	OneFileSystem bool
	// OverlayXattrs keeps the attributes of overlayfs, for reading a layer.
	OverlayXattrs bool
	// Skip omits an entry and everything below it. It is called before content is
	// read, concurrently and in no order.
	Skip func(tree.Entry) bool
	// MaxEntries is the maximum number of entries, which bounds memory; 5,000,000
	// if zero.
	MaxEntries int
	// MaxBytes is the maximum size in bytes of all paths, targets of links and extended
	// attributes, which bounds memory: the paths of nested directories grow with the square
	// of their number. 1 GiB if zero.
	MaxBytes int64
	// MaxFileSize is the maximum size in bytes of a file that is hashed; 64 GiB if
	// zero. A larger file is an Unknown with ErrTooLarge: a container can create huge
	// sparse files for free.
	MaxFileSize int64
}

// ErrTooMany is returned if there are more entries than the limit.
var ErrTooMany = errors.New("too many entries")

// Walk describes a path and everything below it, on all processors. Files that could
// not be read or that changed are not in the tree but in the list of unknowns,
// sorted by path. Walk returns an error only if there is no result: the context
// ended, the path cannot be opened, or there are too many entries.
//
// Link of entries that are hard linked to each other is the first of their paths.
// Names outside of the walk do not count.
func (r *Root) Walk(ctx context.Context, opts WalkOptions) (tree.Tree, []tree.Unknown, error) {
	opts.Path = path.Clean("/" + opts.Path)
	opts.MaxEntries = cmp.Or(opts.MaxEntries, 5_000_000)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, 1<<30)
	opts.MaxFileSize = cmp.Or(opts.MaxFileSize, 64<<30)
	w := &walker{root: r, opts: opts, todo: work.NewStack[task]()}
	if err := w.begin(ctx); err != nil {
		return tree.Tree{}, nil, fmt.Errorf("walk %s: %w", opts.Path, err)
	}
	if err := w.run(ctx); err != nil {
		return tree.Tree{}, nil, fmt.Errorf("walk %s: %w", opts.Path, err)
	}
	nameLinks(w.found)
	entries := make([]tree.Entry, len(w.found))
	for i := range w.found {
		entries[i] = w.found[i].Entry
	}
	t, err := tree.New(entries)
	if err != nil {
		return tree.Tree{}, nil, fmt.Errorf("walk %s: %w", opts.Path, err)
	}
	slices.SortFunc(w.unknown, func(a, b tree.Unknown) int { return tree.ComparePaths(a.Path, b.Path) })
	return t, w.unknown, nil
}

// found is an entry and, for finding hard links, its inode if it has several
// names.
type found struct {
	tree.Entry
	inode inode
}

type walker struct {
	root  *Root
	opts  WalkOptions
	mount uint64 // that Path is on
	todo  *work.Stack[task]

	mu      sync.Mutex
	names   int   // listed so far
	bytes   int64 // of their paths, and of what was described
	found   []found
	unknown []tree.Unknown
	err     error
}

// begin describes the first entry.
func (w *walker) begin(ctx context.Context) error {
	fd, err := w.root.open(w.opts.Path, unix.O_PATH|unix.O_NOFOLLOW, refuseLinks)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := statFD(fd)
	if err != nil {
		return err
	}
	w.mount = st.Mnt_id
	var b batch
	w.look(ctx, fd, w.opts.Path, &b, make([]byte, bufferSize))
	w.merge(&b)
	return nil
}

// run runs the workers until all tasks are done or the context ends.
func (w *walker) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, w.todo.Close)
	defer stop()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			buf := make([]byte, bufferSize)
			for t, ok := w.todo.Pop(); ok; t, ok = w.todo.Pop() {
				var b batch
				w.do(ctx, t, &b, buf)
				w.merge(&b)
				w.todo.Done()
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.err
}

// A batch is the result of one task.
type batch struct {
	found   []found
	unknown []tree.Unknown
}

func (b *batch) fail(path string, err error) {
	b.unknown = append(b.unknown, tree.Unknown{Path: path, Err: err})
}

func (w *walker) merge(b *batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, b.found...)
	w.unknown = append(w.unknown, b.unknown...)
	for i := range b.found {
		e := &b.found[i]
		w.bytes += int64(len(e.Target))
		for name, value := range e.Xattrs {
			w.bytes += int64(len(name) + len(value))
		}
	}
	w.limit()
}

// count adds names that were listed in a directory.
func (w *walker) count(dir string, names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names += len(names)
	for _, name := range names {
		w.bytes += int64(len(dir) + 1 + len(name))
	}
	w.limit()
}

// limit ends the walk if there is too much. The workers end at the next Pop.
func (w *walker) limit() {
	switch {
	case w.err != nil:
		return
	case w.names > w.opts.MaxEntries:
		w.err = fmt.Errorf("%w: more than %d", ErrTooMany, w.opts.MaxEntries)
	case w.bytes > w.opts.MaxBytes:
		w.err = fmt.Errorf("%w: more than %d bytes of paths and attributes", ErrTooMany, w.opts.MaxBytes)
	default:
		return
	}
	w.todo.Close()
}

// A task is a directory to list, or some of the names in it to describe. It holds no
// descriptor, so that deep and wide trees need no more descriptors.
type task struct {
	path  string
	inode inode               // of the directory when its own entry was described
	names []string            // nil: list the directory
	ctime unix.StatxTimestamp // of the directory when it had the names
}

// namesPerTask is small enough that a single large directory keeps all
// processors busy.
const namesPerTask = 128

func (w *walker) do(ctx context.Context, t task, b *batch, buf []byte) {
	fd, err := w.openTask(t)
	if err != nil {
		b.fail(t.path, err)
		return
	}
	defer unix.Close(fd)
	if t.names == nil {
		w.list(fd, t, b)
		return
	}
	for _, name := range t.names {
		if ctx.Err() != nil {
			return
		}
		child := path.Join(t.path, name)
		entry, err := openat2(fd, name, unix.O_PATH|unix.O_NOFOLLOW, 0, refuseLinks)
		if errors.Is(err, unix.ENOENT) && unmodified(fd, t.ctime) {
			// Overlayfs lists a whiteout without a file below it, but lookup
			// returns ENOENT. Otherwise the file was removed, which changes ctime.
			continue
		}
		if err != nil {
			b.fail(child, gone(err))
			continue
		}
		w.look(ctx, entry, child, b, buf)
		unix.Close(entry)
	}
}

// unmodified reports whether a directory still has the same ctime.
func unmodified(fd int, since unix.StatxTimestamp) bool {
	st, err := statFD(fd)
	return err == nil && st.Ctime == since
}

// openTask opens the directory of a task, which must still be the same.
func (w *walker) openTask(t task) (int, error) {
	fd, err := w.root.openDeep(t.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, gone(err)
	}
	st, err := statFD(fd)
	if err == nil && st.inode() != t.inode {
		err = fmt.Errorf("replaced: %w", tree.ErrChanged)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// gone converts the error for a name that no longer exists to tree.ErrChanged.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("gone: %w", tree.ErrChanged)
	}
	return err
}

// list reads the names in a directory and pushes tasks for them.
func (w *walker) list(fd int, t task, b *batch) {
	names, ctime, err := w.stableNames(fd)
	if err != nil {
		b.fail(t.path, err)
		return
	}
	w.count(t.path, names)
	for part := range slices.Chunk(names, namesPerTask) {
		w.todo.Push(task{path: t.path, inode: t.inode, names: part, ctime: ctime})
	}
}

// stableNames lists a directory, and lists it again if it changed at the same time,
// because getdents(2) may then miss a name that existed all the time.
func (w *walker) stableNames(fd int) ([]string, unix.StatxTimestamp, error) {
	for range 3 {
		before, err := statFD(fd)
		if err != nil {
			return nil, before.Ctime, err
		}
		names, err := readNames(fd, w.opts.MaxEntries+1)
		if err != nil {
			return nil, before.Ctime, err
		}
		after, err := statFD(fd)
		if err != nil || before.unchanged(&after) {
			return names, after.Ctime, err
		}
	}
	return nil, unix.StatxTimestamp{}, tree.ErrChanged
}

// readNames lists up to limit names.
func readNames(fd, limit int) ([]string, error) {
	// Reopened: the offset of getdents(2) belongs to the open file description, which
	// other descriptors may share.
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(own), "directory")
	defer f.Close()
	names, err := f.Readdirnames(limit)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return names, err
}

// look describes one open entry, hashes it, and pushes a task if it is a
// directory.
func (w *walker) look(ctx context.Context, fd int, name string, b *batch, buf []byte) {
	st, err := statFD(fd)
	if err != nil {
		b.fail(name, err)
		return
	}
	if w.opts.OneFileSystem && st.Mnt_id != w.mount {
		b.fail(name, tree.ErrMounted)
		return
	}
	e, err := entryOf(fd, name, &st, w.opts.OverlayXattrs)
	if err != nil {
		b.fail(name, err)
		return
	}
	if w.opts.Skip != nil && w.opts.Skip(e) {
		return
	}
	if w.opts.Hash && e.Kind == tree.Regular {
		if err := w.opts.hash(ctx, fd, &e, &st, buf); err != nil {
			b.fail(name, err)
			return
		}
	}
	f := found{Entry: e}
	switch {
	// The link count of a directory counts its subdirectories, not hard links.
	case e.Kind == tree.Directory:
		w.todo.Push(task{path: name, inode: st.inode()})
	case st.Nlink > 1:
		f.inode = st.inode()
	}
	b.found = append(b.found, f)
}

// nameLinks sets Link on entries of which at least two share an inode, and
// sorts them in tree order.
func nameLinks(all []found) {
	slices.SortFunc(all, func(a, b found) int { return tree.ComparePaths(a.Path, b.Path) })
	first := make(map[inode]int)
	for i := range all {
		f := &all[i]
		if f.inode == (inode{}) {
			continue
		}
		k, seen := first[f.inode]
		if !seen {
			first[f.inode] = i
			continue
		}
		all[k].Link, f.Link = all[k].Path, all[k].Path
	}
}
