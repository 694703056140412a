package image

import (
	"cmp"
	"fmt"
)

// Limits bound the cost of a hostile image. A field that is zero has the default
// next to it.
type Limits struct {
	Layers  int   // 1024
	Entries int   // in all layers together: 5,000,000
	Bytes   int64 // of content in all layers together, decompressed and with holes: 256 GiB
	Ratio   int64 // of decompressed to compressed bytes of one layer beyond its first GiB: 200
	Depth   int   // components of a path: 2048
}

// maxDocument bounds an index, a manifest or a configuration, in bytes. Registries
// refuse manifests of more than 4 MiB; configurations have no such limit, and
// those with large labels are found.
const maxDocument = 8 << 20

// ratioGrace is how much of a layer may be decompressed at any ratio: gzip can
// reach 1032 and a file of zeros does.
const ratioGrace = 1 << 30

// maxPath and maxName are the limits of Linux on a path and a name in bytes: a
// runtime could not unpack longer ones.
const (
	maxPath = 4095
	maxName = 255
)

func (l Limits) withDefaults() Limits {
	return Limits{
		Layers:  cmp.Or(l.Layers, 1024),
		Entries: cmp.Or(l.Entries, 5_000_000),
		Bytes:   cmp.Or(l.Bytes, 256<<30),
		Ratio:   cmp.Or(l.Ratio, 200),
		Depth:   cmp.Or(l.Depth, 2048),
	}
}

// A LimitError is returned for an image that exceeds one of the limits.
type LimitError struct {
	Limit string
	Value int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("beyond the limit of %d for %s", e.Value, e.Limit)
}
