package copyup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// portion is the number of bytes copied between two checks of the context.
const portion = 64 << 20

// copyContent copies a file of the given size. Holes are preserved, because a
// sparse file such as lastlog(8)'s may have an apparent size of hundreds of
// gigabytes. The kernel copies the data (copy_file_range(2), which shares
// blocks where the file system supports it), or else the process does.
func copyContent(ctx context.Context, dst, src *os.File, size int64) error {
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to, err := nextData(src, at, size)
		if err != nil {
			return err
		}
		if to = min(to, from+portion); from < to {
			if err := copyRange(dst, src, from, to); err != nil {
				return err
			}
		}
		at = to
	}
	// The rest of the file is a hole.
	return dst.Truncate(size)
}

// nextData returns the range of data at or after an offset.
func nextData(f *os.File, at, size int64) (from, to int64, err error) {
	from, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	switch {
	// There is no data after the offset (lseek(2)).
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case err != nil: // a file system without holes
		return at, size, nil
	}
	to, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, fmt.Errorf("find hole: %w", err)
	}
	return min(from, size), min(to, size), nil
}

func copyRange(dst, src *os.File, from, to int64) error {
	if _, err := src.Seek(from, io.SeekStart); err != nil {
		return err
	}
	if _, err := dst.Seek(from, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(dst, src, to-from)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it became shorter while it was copied: %w", io.ErrUnexpectedEOF)
	}
	return err
}
