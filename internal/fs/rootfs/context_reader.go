package rootfs

import (
	"context"
	"io"
)

// ContextReader returns a reader of r that fails with the context's error as
// soon as ctx ends. A read that blocks is not interrupted.
func ContextReader(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
