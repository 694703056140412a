package inspect

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// maxEvidence is how much content SaveChanges saves, in bytes.
const maxEvidence = 256 << 20

// The entries of an archive of SaveChanges.
const (
	evidenceRoot    = "root"    // directory of the files that were added or changed
	evidenceDeleted = "DELETED" // paths, one a line
	evidenceMissing = "MISSING" // paths that are not in the archive, and why
)

// SaveChanges writes a tar archive, in PAX format, of the files of a root that were
// added or changed according to a report: each path below "root/", with owner, mode
// and extended attributes. The entry DELETED lists the deleted paths. At most 256 MiB
// of content are saved. Paths that exceed this limit, could not be read, or changed
// while they were read are listed in the entry MISSING, if there are any, and are
// returned. After an error the archive is incomplete.
func SaveChanges(ctx context.Context, root *rootfs.Root, r drift.Report, w io.Writer) ([]tree.Unknown, error) {
	var changed, deleted, missing []string
	for _, ch := range r.Changes {
		switch ch.Kind {
		case drift.Deleted:
			deleted = append(deleted, tree.Escape(ch.Path))
		case drift.Added, drift.Changed:
			changed = append(changed, ch.Path)
		}
	}
	if n := r.Len() - len(r.Changes); n > 0 {
		missing = append(missing, fmt.Sprintf("... %d changes that are not listed", n))
	}
	archive := tar.NewWriter(w)
	unknown, err := root.AppendPaths(ctx, archive, evidenceRoot, changed, maxEvidence)
	if err != nil {
		return nil, err
	}
	for _, u := range unknown {
		missing = append(missing, tree.Escape(u.Path)+" "+tree.Escape(u.Err.Error()))
	}
	if err := writeList(archive, evidenceDeleted, deleted); err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		if err := writeList(archive, evidenceMissing, missing); err != nil {
			return nil, err
		}
	}
	return unknown, archive.Close()
}

// writeList writes a file of lines to an archive.
func writeList(w *tar.Writer, name string, lines []string) error {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(b.Len()), Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, b.String())
	return err
}
