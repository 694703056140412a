package text

import (
	"io"
	"text/tabwriter"
)

// NewTable returns a writer that aligns columns, which end at tabs. The caller must
// Flush it.
func NewTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 4, 2, ' ', 0) }
