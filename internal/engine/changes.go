package engine

import (
	"context"
	"io"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/tree"
)

// maxChanges is how much content SaveChanges keeps, in bytes.
const maxChanges = 256 << 20

// SaveChanges writes a tar archive of what a report says was added to the root
// of a running container, or changed in it: what an intruder left, to be looked
// at when the instance is gone. It returns what is not in the archive.
func (p *Pod) SaveChanges(ctx context.Context, c *Container, r drift.Report, w io.Writer) ([]tree.Unknown, error) {
	root, err := p.OpenRoot(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var entries []tree.Entry
	for _, ch := range r.Changes {
		if ch.Got != nil {
			entries = append(entries, *ch.Got)
		}
	}
	return root.ArchiveEntries(ctx, w, entries, maxChanges)
}
