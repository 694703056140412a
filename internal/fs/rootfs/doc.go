// Package rootfs gives access to the root file system of a container, image or
// server. Such a root may be hostile: no symbolic link, mount or race in it
// leads out of it, and FIFOs, sockets and devices are never opened.
//
// It reads and writes trees (package tree) and is not about images,
// overlays or drift.
package rootfs
