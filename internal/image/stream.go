package image

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// ErrDigest is returned for content that does not have its digest or size.
var ErrDigest = errors.New("content does not match its digest")

// A verifier passes content through. At its end it returns an error instead of io.EOF if
// the digest or size is wrong.
type verifier struct {
	src  io.Reader
	what string // named in errors
	want v1.Hash
	size int64 // promised; negative if it was not
	hash hash.Hash
	read int64
}

// verify checks content against its digest, and its size if that is not
// negative, before it lets the end be seen. Only SHA-256 is supported.
func verify(src io.Reader, what string, want v1.Hash, size int64) (*verifier, error) {
	if want.Algorithm != "sha256" {
		return nil, fmt.Errorf("%s %s: digest algorithm %q is not supported", what, want, want.Algorithm)
	}
	return &verifier{src: src, what: what, want: want, size: size, hash: sha256.New()}, nil
}

// verifyBlob is verify for a blob that is read once. Closing the result closes the
// blob.
func verifyBlob(blob Blob, desc v1.Descriptor) (io.ReadCloser, error) {
	v, err := verify(blob.Reader(), "blob", desc.Digest, desc.Size)
	if err != nil {
		blob.Close()
		return nil, err
	}
	return verifiedBlob{v, blob}, nil
}

type verifiedBlob struct {
	*verifier
	io.Closer
}

// verifyOnce is verify of src, which reads from opened, unless that verifies itself
// already: hashing takes most of the time of reading a layer.
func verifyOnce(src io.Reader, opened io.ReadCloser, want v1.Hash, size int64) (io.Reader, error) {
	if v, ok := opened.(verifiedBlob); ok && v.want == want && v.size == size {
		return src, nil
	}
	return verify(src, "blob", want, size)
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.src.Read(p)
	v.hash.Write(p[:n])
	v.read += int64(n)
	switch {
	case v.size >= 0 && v.read > v.size:
		return n, fmt.Errorf("%s %s: more than %d bytes: %w", v.what, v.want, v.size, ErrDigest)
	case err != io.EOF:
		return n, err
	case v.size >= 0 && v.read < v.size:
		return n, fmt.Errorf("%s %s: %d bytes, not %d: %w", v.what, v.want, v.read, v.size, ErrDigest)
	}
	if got := hex.EncodeToString(v.hash.Sum(nil)); got != v.want.Hex {
		return n, fmt.Errorf("%s %s: has sha256:%s: %w", v.what, v.want, got, ErrDigest)
	}
	return n, io.EOF
}

// A counter counts the bytes that are read through it.
type counter struct {
	src io.Reader
	n   int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	return n, err
}

var (
	gzipMagic = []byte{0x1f, 0x8b, 0x08}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// zstdSkippable is the magic number of skippable frames, without its last four bits.
const zstdSkippable = 0x184D2A50

// zstdMemory bounds the window that a zstd stream may ask for, in bytes.
const zstdMemory = 256 << 20

// A Compression is how content is compressed.
type Compression int

// The compressions that runtimes read.
const (
	Uncompressed Compression = iota
	Gzip
	Zstd
)

// compressionOf detects the compression of content by its first four bytes, as runtimes
// do, because media types are often wrong. A zstd stream may begin with a skippable
// frame (RFC 8878, 3.1.2), as those of pzstd do.
func compressionOf(magic []byte) Compression {
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		return Gzip
	case bytes.HasPrefix(magic, zstdMagic):
		return Zstd
	case len(magic) >= 4 && binary.LittleEndian.Uint32(magic)&^0xf == zstdSkippable:
		return Zstd
	}
	return Uncompressed
}

// Decompress decompresses content by its first bytes. It reports whether the
// content is compressed. Closing the result leaves src open.
func Decompress(src io.Reader) (io.ReadCloser, bool, error) { return decompressWith(src, 1<<20, 0) }

// decompress is Decompress for a layer that is one of many read at the same time.
func decompress(src io.Reader) (io.ReadCloser, bool, error) { return decompressWith(src, 64<<10, 1) }

// decompressWith reads src into a buffer of that many bytes. With a concurrency of
// 0 zstd uses all processors.
func decompressWith(src io.Reader, buffer, concurrency int) (io.ReadCloser, bool, error) {
	in := bufio.NewReaderSize(src, buffer)
	magic, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	switch compressionOf(magic) {
	case Gzip:
		z, err := gzip.NewReader(in)
		return z, true, err
	case Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(concurrency), zstd.WithDecoderMaxMemory(zstdMemory), zstd.WithDecoderMaxWindow(zstdMemory))
		if err != nil {
			return nil, false, err
		}
		return z.IOReadCloser(), true, nil
	}
	return io.NopCloser(in), false, nil
}

// DecompressLayer decompresses a layer. It refuses a decompression bomb, and ends with
// ctx.
func DecompressLayer(ctx context.Context, layer Blob) (io.ReadCloser, error) {
	compressed := &counter{src: rootfs.ContextReader(ctx, layer.Reader())}
	plain, _, err := Decompress(compressed)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	bounded := &inflater{src: plain, compressed: compressed, ratio: Limits{}.withDefaults().Ratio, ratioGrace: ratioGrace}
	return readCloser{rootfs.ContextReader(ctx, bounded), plain}, nil
}

// An inflater is a reader of decompressed content that refuses a decompression bomb: more
// than grace bytes that are also more than ratio times the compressed bytes.
type inflater struct {
	src        io.Reader
	compressed *counter
	n          int64
	ratio      int64
	ratioGrace int64
}

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.src.Read(p)
	i.n += int64(n)
	if i.n > i.ratioGrace && i.n/i.ratio > i.compressed.n {
		return n, &LimitError{Limit: "compression ratio", Value: i.ratio}
	}
	return n, err
}

// readAhead reads from src in another goroutine, so that decompression
// and hashing run at the same time. Close waits for the goroutine, which ends
// with the context too; src must not block forever.
type readAhead struct {
	full    chan chunk
	free    chan []byte
	current []byte // not yet consumed
	buf     []byte // that current is part of
	err     error
	stop    context.CancelFunc
	ended   chan struct{}
}

type chunk struct {
	data []byte
	buf  []byte
	err  error
}

func newReadAhead(ctx context.Context, src io.Reader) *readAhead {
	const buffers, size = 8, 128 << 10
	ctx, stop := context.WithCancel(ctx)
	r := &readAhead{full: make(chan chunk, buffers), free: make(chan []byte, buffers), stop: stop, ended: make(chan struct{})}
	for range buffers {
		r.free <- make([]byte, size)
	}
	go func() {
		defer close(r.ended)
		defer close(r.full)
		for {
			select {
			case <-ctx.Done():
				r.full <- chunk{err: ctx.Err()}
				return
			case buf := <-r.free:
				n, err := fill(src, buf)
				r.full <- chunk{data: buf[:n], buf: buf, err: err}
				if err != nil {
					return
				}
			}
		}
	}()
	return r
}

// fill is io.ReadFull without its conversion of errors: the io.ErrUnexpectedEOF of a
// truncated compressed stream must not be taken for the end of the content.
func fill(src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, err
}

func (r *readAhead) Read(p []byte) (int, error) {
	for len(r.current) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.buf != nil {
			r.free <- r.buf
			r.buf = nil
		}
		c, ok := <-r.full
		if !ok {
			return 0, io.ErrClosedPipe
		}
		r.current, r.buf, r.err = c.data, c.buf, c.err
	}
	n := copy(p, r.current)
	r.current = r.current[n:]
	return n, nil
}

// Close ends reading ahead and waits until src is no longer used.
func (r *readAhead) Close() {
	r.stop()
	for range r.full { // makes room, if the goroutine waits for it
	}
	<-r.ended
}
