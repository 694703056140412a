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

// bufferSize is the number of bytes of a file that are read at once.
const bufferSize = 256 << 10

// hash reads the regular file of an O_PATH descriptor and sets its digest. If the
// file changes at the same time, it is read once more: many logs are written only now
// and then. After that the error is ErrChanged.
func (o *WalkOptions) hash(ctx context.Context, fd int, e *tree.Entry, st *status, buf []byte) error {
	file, err := Reopen(fd)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	for range 2 {
		if e.Size > o.MaxFileSize {
			return fmt.Errorf("%d bytes: %w of %d", e.Size, tree.ErrTooLarge, o.MaxFileSize)
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
		if *e, err = entryOf(fd, e.Path, st, o.OverlayXattrs); err != nil {
			return err
		}
	}
	return tree.ErrChanged
}

// hashFile hashes exactly size bytes. If the file has more or fewer, it has changed,
// or its size is wrong, as in /proc, and the error is ErrChanged.
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
