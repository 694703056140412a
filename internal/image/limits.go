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

// maxDocuments bounds all documents of a source together, in bytes. Each is read once,
// however often it is referenced.
const maxDocuments = 256 << 20

// maxValues bounds the values in a document: a list of empty objects takes 70 times its
// size in memory.
const maxValues = 500_000

// maxMetadata bounds the names, links and attributes of all entries of an image
// together, in bytes. They are in memory, and compress well.
const maxMetadata = 256 << 20

// maxSteps bounds the components of paths that are looked up while the layers of an
// image are applied, each of which takes about 20 ns. Large images take some million.
const maxSteps = 200_000_000

// maxFindings bounds the findings of an image that are listed.
const maxFindings = 10_000

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
