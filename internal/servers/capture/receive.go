package capture

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// receive writes the archive of a layer to a file. It fails if the stream does not
// have the entries of the plan.
func receive(ctx context.Context, p Plan, name, file string, open func(layer string) (io.ReadCloser, error)) (err error) {
	expected, err := p.expected(name)
	if err != nil {
		return err
	}
	stream, err := open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = rewrite(expected, rootfs.ContextReader(ctx, stream), w)
	if err == nil {
		err = w.Flush()
	}
	return errors.Join(err, f.Close())
}

// rewrite reads an archive that must have exactly the expected entries, and writes
// it anew, so that nothing else of the stream reaches the image, such as unusual
// headers or padding.
func rewrite(expected tree.Tree, r io.Reader, w io.Writer) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	written := map[string]bool{}
	for e := range expected.All() {
		h, err := in.Next()
		if err == io.EOF {
			return fmt.Errorf("the archive ends before %q: %w", e.Path, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if err := rewriteEntry(e, h, in, out, written); err != nil {
			return fmt.Errorf("%q: %w", e.Path, err)
		}
	}
	if h, err := in.Next(); err == nil {
		return fmt.Errorf("%q is not in the plan: %w", h.Name, ErrHostile)
	} else if err != io.EOF {
		return fmt.Errorf("read archive: %w", err)
	}
	return out.Close()
}

// newestTime is the end of the times that a tar archive can have without extended
// headers: 11 octal digits of seconds. Later times are taken for invalid.
var newestTime = time.Unix(1<<33, 0)

func rewriteEntry(e tree.Entry, got *tar.Header, content io.Reader, out *tar.Writer, written map[string]bool) error {
	want := headerOf(e)
	isLink := e.Kind == tree.Regular && e.Link != "" && written[e.Link]
	if isLink {
		want.Typeflag, want.Linkname, want.Size = tar.TypeLink, e.Link[1:], 0
	}
	if field := differs(want, got); field != "" {
		return fmt.Errorf("the %s differs from the plan: %w", field, ErrHostile)
	}
	// The plan has no times, so they cannot be verified, only bounded.
	if e.Kind != tree.Directory && !isLink {
		if got.ModTime.Before(time.Unix(0, 0)) || got.ModTime.After(newestTime) {
			got.ModTime = time.Unix(0, 0)
		}
		want.ModTime = got.ModTime.Truncate(time.Second)
	}
	if err := out.WriteHeader(want); err != nil {
		return err
	}
	if e.Kind != tree.Regular || isLink {
		return nil
	}
	written[e.Path] = true
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(content, e.Size))
	if err != nil {
		return err
	}
	if n != e.Size || "sha256:"+hex.EncodeToString(sum.Sum(nil)) != e.Digest {
		return fmt.Errorf("the content differs from the plan: %w", ErrNotAsPlanned)
	}
	return nil
}

// differs returns the name of a field in which two headers differ, apart from the
// time; empty if there is none.
func differs(want, got *tar.Header) string {
	switch {
	case want.Name != got.Name:
		return "name"
	case want.Typeflag != got.Typeflag:
		return "type"
	case want.Mode != got.Mode:
		return "mode"
	case want.Uid != got.Uid || want.Gid != got.Gid:
		return "owner"
	case want.Size != got.Size:
		return "size"
	case want.Linkname != got.Linkname:
		return "target"
	}
	for name, value := range want.PAXRecords {
		if got.PAXRecords[name] != value {
			return "extended attribute"
		}
	}
	return ""
}
