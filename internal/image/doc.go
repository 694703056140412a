// Package image reads container images: references, archives, layouts and
// registries, digests, configuration, and the layers flattened to a tree. It
// also builds images and writes them as OCI layouts.
//
// The package runs nothing and unpacks nothing to a disk; the runtime does that. It
// treats all content as hostile until its digest has been checked.
package image
