// Package image reads container images: references, archives, layouts and
// registries, digests, configuration, and the layers flattened to a tree. It
// also builds images and writes them as OCI layouts.
//
// It runs nothing and unpacks nothing onto a disk; that is the runtime's task.
// All content is hostile until its digest was checked.
package image
