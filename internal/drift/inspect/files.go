package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// filesOptions configures compareFiles. The zero value compares a root.
type filesOptions struct {
	// isLayer means that the directory is a layer of overlayfs, with its attributes and
	// whiteouts. The root directory of a layer is the runtime's own.
	isLayer bool
	// pace is LayersOptions.Pace.
	pace func(size int64)
}

// compareFiles compares all files below a directory with the tree that it should have. It
// makes no text diffs. Time is linear in the number of files, and memory is bounded by the
// wanted tree, whatever is in the directory. A deadline of the context ends it with an
// unknown for the rest.
//
// The directory is walked like the upper directory of an overlay without lower ones. Files
// of the wanted size are read after that, because a directory may change while others are
// read.
func compareFiles(ctx context.Context, want tree.Tree, root *rootfs.Root, opts filesOptions) (drift.Report, error) {
	dir, err := root.OpenDir("/")
	if err != nil {
		return drift.Report{}, err
	}
	defer dir.Close()
	o, err := overlay.Open(overlay.Mount{Upper: descriptor(dir), NoMarks: true, AllXattrs: opts.isLayer})
	if err != nil {
		return drift.Report{}, err
	}
	defer o.Close()
	for try := 1; ; try++ {
		f := &files{
			Comparison: drift.NewComparison(-1), ctx: ctx, root: root, want: want, opts: opts,
			seen: make([]bool, want.Len()), blind: make([]bool, want.Len()),
		}
		unsettled, err := o.Walk(ctx, overlay.Options{}, f)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return drift.Report{}, fmt.Errorf("read files: %w", err)
		}
		if len(unsettled) > 0 && try < attempts && f.added < manyPairs {
			continue
		}
		for _, path := range unsettled {
			f.Comparison.Unknown(path, tree.ErrChanged)
		}
		f.findDeleted()
		f.readContents()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			f.Comparison.Unknown("/", ErrDeadline)
		} else if ctx.Err() != nil {
			return drift.Report{}, ctx.Err()
		}
		return f.Report(), nil
	}
}

// files compares what a walk of a directory finds.
type files struct {
	*drift.Comparison
	ctx  context.Context
	root *rootfs.Root
	opts filesOptions

	// By the index of an entry in the wanted tree.
	want   tree.Tree
	seen   []bool
	blind  []bool // the path, and everything below it, could not be read or is a mount
	unread []int  // files whose content has to be read
	added  int    // paths that are not wanted

	mu sync.Mutex // of Comparison, while contents are read
}

// Pair implements overlay.Visitor.
func (f *files) Pair(p *overlay.Pair) {
	if f.opts.isLayer && p.Got.Path == "/" {
		return
	}
	pair := drift.Pair{Got: p.Got, Size: p.Size()}
	if isRegular(p.Got) {
		pair.Content = func(side drift.Side) (io.ReadCloser, error) {
			if side == drift.Want {
				return nil, errNoContent
			}
			return p.OpenGot()
		}
	}
	if p.IsShortened() { // no image has such a path
		pair.Path = p.Path
		f.added++
		f.Add(pair)
		return
	}
	i := f.want.Index(p.Got.Path)
	if i < 0 {
		f.added++
		f.Add(pair)
		return
	}
	f.seen[i] = true
	want := f.want.At(i)
	if isRegular(&want) && isRegular(p.Got) && want.Size == p.Got.Size && want.Size > 0 {
		f.unread = append(f.unread, i)
		return
	}
	pair.Want = &want
	f.Add(pair)
}

// Unknown implements overlay.Visitor.
func (f *files) Unknown(path string, err error) {
	if i := f.want.Index(path); i >= 0 {
		f.blind[i] = true
	}
	if !errors.Is(err, unix.EXDEV) {
		f.Comparison.Unknown(path, err)
	} else if f.opts.isLayer {
		f.Comparison.Unknown(path, tree.ErrMounted)
	}
}

// errNoContent is returned for a file of an image while its directory is walked: layers
// can only be read from their beginning.
var errNoContent = errors.New("its content in the image was not read")

// findDeleted adds the entries that are wanted but were not seen. One that exists, in a
// directory that changed during the walk, is unknown.
func (f *files) findDeleted() {
	blind := "" // the path that is, and everything below it; empty if none
	for i := range f.seen {
		if f.ctx.Err() != nil {
			return
		}
		want := f.want.At(i)
		if blind == "" || !isAtOrBelow(want.Path, blind) {
			if blind = ""; f.blind[i] {
				blind = want.Path
			}
		}
		if f.seen[i] || blind != "" || f.opts.isLayer && want.Path == "/" {
			continue
		}
		exists, err := f.root.Has(want.Path)
		switch {
		case err != nil:
			f.Comparison.Unknown(want.Path, err)
		case exists:
			f.Comparison.Unknown(want.Path, tree.ErrChanged)
		default:
			f.Add(drift.Pair{Want: &want, Size: len(want.Path)})
		}
	}
}

// readContents compares the files whose content has to be read, on all processors.
func (f *files) readContents() {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for f.ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(f.unread) {
					return
				}
				f.readContent(f.want.At(f.unread[n]))
			}
		})
	}
	workers.Wait()
}

func (f *files) readContent(want tree.Entry) {
	if f.opts.pace != nil {
		f.opts.pace(want.Size)
	}
	got, err := f.root.Describe(f.ctx, want.Path, rootfs.DescribeOptions{Size: want.Size, OverlayXattrs: f.opts.isLayer})
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.ctx.Err() != nil:
	case err != nil:
		f.Comparison.Unknown(want.Path, err)
	default:
		f.Add(drift.Pair{Want: &want, Got: &got, Size: len(want.Path), Content: contentIn(f.root, want.Path, nil)})
	}
}

// contentIn opens both sides of a path: that of the image in memory, if it is there, and
// that of the root.
func contentIn(root *rootfs.Root, name string, image map[string][]byte) func(drift.Side) (io.ReadCloser, error) {
	return func(side drift.Side) (io.ReadCloser, error) {
		if side == drift.Want {
			return inMemory(image, name)
		}
		fd, err := root.OpenDeep(path.Dir(name))
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		dir, err := rootfs.New(fd)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		return dir.Open(path.Base(name))
	}
}
