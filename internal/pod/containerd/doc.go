// Package containerd runs a private containerd: started from the machine's
// own packages, with its root, state, socket, network and pause image apart
// from any other, so that pods run as a kubelet would run them while nothing
// else on the machine is touched. It outlives the command that started it.
//
// It also holds the images: import, names, read-only views, and their blobs.
// It knows no pods: those are the business of package pod.
package containerd
