// Package containerd runs a private containerd, started from the machine's own
// packages. It has its own root, state, socket, network and pause image, so that
// pods run as a kubelet would run them and nothing else on the machine changes.
// The daemon outlives the command that started it.
//
// The package also manages images: import, names, read-only mounts and blobs. It
// does not manage pods, see package pod.
package containerd
