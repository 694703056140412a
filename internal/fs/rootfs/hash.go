package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// bufferSize is how much of a file is read at a time.
const bufferSize = 256 << 10

// hash reads the regular file that fd, which is open with O_PATH, refers to,
// and fills in its digest. A file that changes meanwhile is looked at once
// more, since a log is written to now and then; after that it is ErrChanged.
func (w *walker) hash(ctx context.Context, fd int, e *tree.Entry, st *status, buf []byte) error {
	file, err := openRegular(fd)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	for range 2 {
		if e.Size > w.opts.MaxFileSize {
			return fmt.Errorf("%d bytes: %w of %d", e.Size, tree.ErrTooLarge, w.opts.MaxFileSize)
		}
		digest, err := hashFile(ctx, file, e.Size, buf)
		if err != nil && !errors.Is(err, tree.ErrChanged) {
			return err
		}
		now, statErr := statFD(fd)
		if statErr != nil {
			return statErr
		}
		if err == nil && st.unchanged(&now) {
			e.Digest = digest
			return nil
		}
		*st = now
		if *e, err = entryOf(fd, e.Path, st, w.opts.OverlayXattrs); err != nil {
			return err
		}
	}
	return tree.ErrChanged
}

// hashFile hashes exactly size bytes. A file that has more or less than that
// changed, or lies about its size, as files in /proc do.
func hashFile(ctx context.Context, fd int, size int64, buf []byte) (string, error) {
	h := sha256.New()
	for offset := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := unix.Pread(fd, buf, offset)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return "", fmt.Errorf("read: %w", err)
		case n == 0 && offset == size:
			var sum [sha256.Size]byte
			return tree.DigestPrefix + hex.EncodeToString(h.Sum(sum[:0])), nil
		}
		offset += int64(n)
		if n == 0 || offset > size {
			return "", tree.ErrChanged
		}
		h.Write(buf[:n])
	}
}
