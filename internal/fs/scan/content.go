package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// bufferSize is how much of a file is read at a time, in bytes.
const bufferSize = 256 << 10

// content completes the record of a regular file that is open with O_PATH and
// has been looked at. One that changes meanwhile is read once more, since a log
// is written to now and then; after that it is tree.ErrChanged.
func (w *worker) content(ctx context.Context, fd int) error {
	file, err := w.reopen(fd)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	for range 2 {
		if w.st.Size > uint64(w.opts.MaxFileSize) {
			return fmt.Errorf("%d bytes: %w of %d", w.st.Size, tree.ErrTooLarge, w.opts.MaxFileSize)
		}
		attrs, err := xattrs(file)
		if err != nil {
			return fmt.Errorf("read extended attributes: %w", err)
		}
		before := keyOf(&w.st)
		digest, sumErr := w.sum(ctx, file, int64(w.st.Size))
		if sumErr != nil && !errors.Is(sumErr, tree.ErrChanged) {
			return sumErr
		}
		if err := statAt(file, noName, &w.st); err != nil {
			return err
		}
		if sumErr == nil && keyOf(&w.st) == before {
			w.scratch[inFlags] |= hasContent
			w.scratch.setDigest(&digest)
			w.complete(nil, attrs)
			return nil
		}
	}
	return tree.ErrChanged
}

// sum hashes exactly size bytes. A file that has more or less than that changed,
// or lies about its size, as files in /proc do. Most files fit into the buffer and are read by a
// single call, which asks for one byte more than there should be.
func (w *worker) sum(ctx context.Context, file int, size int64) (Digest, error) {
	w.hash.Reset()
	for offset := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return Digest{}, err
		}
		n, err := unix.Pread(file, w.buf[:min(int64(len(w.buf)), size-offset+1)], offset)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Digest{}, fmt.Errorf("read: %w", err)
		}
		whole := offset == 0 && int64(n) == size
		offset += int64(n)
		w.read += int64(n)
		switch {
		case offset > size || n == 0 && offset < size:
			return Digest{}, tree.ErrChanged
		case whole:
			return sha256.Sum256(w.buf[:n]), nil
		}
		w.hash.Write(w.buf[:n])
		if offset == size {
			return Digest(w.hash.Sum(nil)), nil
		}
	}
}
