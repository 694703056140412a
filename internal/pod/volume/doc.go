// Package volume makes the host side of a pod's volumes with the owners, modes
// and layout that a kubelet gives them. Where this package chooses, it chooses
// what the kubelet of Kubernetes 1.37 does.
//
// It knows nothing of manifests, containers or a runtime: paths and plain
// values in, directories and mounts out.
package volume
