// Package rootfs reads and writes the root file system of a container, image or
// server. Such a root may be hostile: no symbolic link, mount or race leads out of
// it, and FIFOs, sockets and devices are never opened.
//
// The package reads and writes trees (package tree). It does not depend on images,
// overlays or drift.
package rootfs
