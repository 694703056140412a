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

// A Class is why an entry does not count. Those of class Compared count.
type Class uint8

// Compared entries make up the digests of directories.
const Compared Class = 0

// A Treatment is how an entry is handled.
type Treatment struct {
	Class   Class
	Skip    bool // it is left out, with everything below it
	Content bool // a regular file is read
}

// A Policy decides which entries count and what identifies them. Its functions are
// called concurrently.
type Policy struct {
	// Version changes with the results of the functions for the same arguments. From
	// a cache of another version only the content of files is used.
	Version string
	// In returns how the names in a directory are treated.
	In func(dir string) func(name string) Treatment
	// AppendText appends the text that identifies an entry. The digest of a
	// directory is that of the texts of all entries in it that count.
	AppendText func(b []byte, e Entry) []byte
}

// Options of a scan. Only the policy must be given.
type Options struct {
	Policy Policy
	// Cache is a file that keeps what was read for the next scan; none if empty.
	// It is used only if it is the user's own and nobody else may read it.
	Cache string
	// Full reads everything again and does not trust the cache.
	Full bool
	// MaxEntries is how many entries may be found; 5,000,000 if zero.
	MaxEntries int
	// MaxFileSize is the size in bytes up to which a file is read; 64 GiB if zero.
	MaxFileSize int64
}

// ErrTooMany is returned if there are more entries than the limit.
var ErrTooMany = rootfs.ErrTooMany

// A scanner is shared by the workers of one scan.
type scanner struct {
	root        *rootfs.Root
	opts        Options
	mount       uint64        // that the root is on
	begun       unix.Timespec // what changes from here on may have the same key
	sameRules   bool          // the cache is of the same policy
	descriptors int           // /proc/self/fd
	todo        *work.Stack[task]
	nothing     *Dir // stands for one that the cache does not have

	mu    sync.Mutex
	names int // found so far
	err   error
}

// Read reads everything below a root that is on its file system. Mounts are left
// out.
//
// What could not be read, or changed meanwhile, is among the unknowns. There is an
// error only without any result: the context ended, the root cannot be opened, or
// there are too many entries. A cache that cannot be used or written is no error.
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

// run works until nothing is left to do or the context ends. It also returns how
// many bytes were read.
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

// join adds up what the workers found.
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
