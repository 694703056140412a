package scan

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/fs/work"
)

// A Class is the reason why an entry does not count. Entries of class Compared count.
type Class uint8

// Compared entries make up the digests of directories.
const Compared Class = 0

// A Treatment is how an entry is handled.
type Treatment struct {
	Class   Class
	Skip    bool // omit the entry and everything below it
	Content bool // read the content of a regular file
}

// A Policy decides which entries count and what identifies them. Its functions are
// called concurrently.
type Policy struct {
	// Version must change when the functions return other results. If the cache has
	// another version, only digests of content are reused.
	Version string
	// In returns how the names in a directory are treated.
	In func(dir string) func(name string) Treatment
	// AppendText appends the text that identifies an entry. The digest of a
	// directory is the digest of the texts of its compared entries.
	AppendText func(b []byte, e Entry) []byte
}

// Options of a scan. Only the policy must be given.
type Options struct {
	Policy Policy
	// Cache is the cache file for the next scan; none if empty. It is used only if it
	// belongs to the user and nobody else may read it.
	Cache string
	// Full reads everything again and does not trust the cache.
	Full bool
	// MaxEntries is the maximum number of entries; 5,000,000 if zero.
	MaxEntries int
	// MaxFileSize is the maximum size in bytes of a file that is read; 64 GiB if zero.
	MaxFileSize int64
}

// ErrTooMany is returned if there are more entries than the limit.
var ErrTooMany = rootfs.ErrTooMany

// A scanner is shared by the workers of one scan.
type scanner struct {
	root        *rootfs.Root
	opts        Options
	mount       uint64        // that the root is on
	begun       unix.Timespec // start of the scan; see dirty
	sameRules   bool          // the cache is of the same policy
	descriptors int           // /proc/self/fd
	todo        *work.Stack[task]
	nothing     *Dir // used for a directory that is not in the cache

	mu    sync.Mutex
	names int // found so far
	err   error
}

// Read reads everything below a root on its file system. It omits mounts.
//
// Paths that could not be read, or changed at the same time, are among the unknowns.
// Read returns an error only if there is no result: the context ended, the root
// cannot be opened, or there are too many entries. A cache that cannot be read or
// written is not an error, see Result.Note.
func Read(ctx context.Context, root *rootfs.Root, opts Options) (*Result, error) {
	opts.MaxEntries = cmp.Or(opts.MaxEntries, 5_000_000)
	opts.MaxFileSize = cmp.Or(opts.MaxFileSize, 64<<30)
	s := &scanner{root: root, opts: opts, todo: work.NewStack[task](), nothing: &Dir{digest: sha256.Sum256(nil)}}
	r, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	return r, nil
}

func (s *scanner) read(ctx context.Context) (_ *Result, err error) {
	// Before anything is read, so that every later change is dirty.
	if s.begun, err = now(); err != nil {
		return nil, err
	}
	if s.descriptors, err = unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, err
	}
	defer unix.Close(s.descriptors)
	top, err := s.begin()
	if err != nil {
		return nil, err
	}
	c, err := s.load(top.key)
	top.old, s.sameRules = c.top, c.rules == rulesOf(s.opts.Policy)
	s.todo.Push(task{top, listNames})
	r, bytes, runErr := s.run(ctx)
	if runErr != nil {
		return nil, runErr
	}
	r.top = top.dir
	if err != nil {
		r.Note = fmt.Sprintf("the cache is not used: %v", err)
	}
	if s.opts.Cache != "" && (!s.sameRules || isWorthSaving(r.Anew, bytes, c.size)) {
		if err := s.save(top.dir); err != nil {
			r.Note = fmt.Sprintf("the cache is not written: %v", err)
		}
	}
	return r, nil
}

// begin describes the root.
func (s *scanner) begin() (*reading, error) {
	fd, err := s.root.OpenDeep("/")
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := statAt(fd, noName, &st); err != nil {
		return nil, err
	}
	s.mount = st.Mnt_id
	top := &reading{path: "/", key: keyOf(&st), old: s.nothing}
	top.pending.Store(1)
	return top, nil
}

// run runs the workers until all tasks are done or the context ends. It also returns
// the number of bytes that were read.
func (s *scanner) run(ctx context.Context) (*Result, int64, error) {
	stop := context.AfterFunc(ctx, s.todo.Close)
	defer stop()
	workers := make([]*worker, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range workers {
		w := newWorker(s)
		workers[i] = w
		group.Go(func() {
			for t, ok := s.todo.Pop(); ok; t, ok = s.todo.Pop() {
				w.do(ctx, t)
				s.todo.Done()
			}
		})
	}
	group.Wait()
	if err := errors.Join(ctx.Err(), s.err); err != nil {
		return nil, 0, err
	}
	r, read := join(workers)
	return r, read, nil
}

// join merges the results of the workers.
func join(workers []*worker) (r *Result, read int64) {
	r = &Result{Counts: map[Class]int{Compared: 1}} // the root
	for _, w := range workers {
		for class, n := range w.counts {
			if n > 0 {
				r.Counts[Class(class)] += n
			}
		}
		r.Named = append(r.Named, w.named...)
		r.Unknowns = append(r.Unknowns, w.unknowns...)
		r.Anew += w.anew
		read += w.read
	}
	slices.SortFunc(r.Named, func(a, b File) int { return tree.ComparePaths(a.Path, b.Path) })
	slices.SortFunc(r.Unknowns, func(a, b tree.Unknown) int { return tree.ComparePaths(a.Path, b.Path) })
	return r, read
}

// count adds names that were found, and ends the scan if there are too many.
func (s *scanner) count(names int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names += names; s.names > s.opts.MaxEntries && s.err == nil {
		s.err = fmt.Errorf("%w: more than %d", ErrTooMany, s.opts.MaxEntries)
		s.todo.Close()
	}
}
