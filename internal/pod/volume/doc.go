// Package volume creates the host side of a pod's volumes, with the owners, modes
// and layout of the kubelet of Kubernetes 1.37.
//
// It does not depend on manifests, containers or a runtime: its inputs are paths
// and plain values, and it creates directories and mounts.
package volume
