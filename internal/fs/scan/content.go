package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// bufferSize is the number of bytes of a file that are read at once.
const bufferSize = 256 << 10

// content completes the record of a regular file that is open with O_PATH and whose
// status is in w.st. If the file changes at the same time, it is read once more: many
// logs are written only now and then. After that the error is tree.ErrChanged.
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
		// Compare the status before and after the read: the digest must be that of
		// the content with this key.
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

// sum hashes exactly size bytes. If the file has more or fewer, it has changed, or
// its size is wrong, as in /proc, and the error is tree.ErrChanged.
func (w *worker) sum(ctx context.Context, file int, size int64) (Digest, error) {
	w.hash.Reset()
	for offset := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return Digest{}, err
		}
		// One byte more than the size, so that for most files a single call both
		// reads the content and finds its end.
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
