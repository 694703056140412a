// Package translate turns the spec of a pod into the configuration of its
// sandbox and containers for the CRI, by the kubelet's rules: mounts,
// environment, security contexts, seccomp, resources, DNS and host names.
//
// It is pure: everything that depends on the machine or on the running pod
// comes in as Facts, and the files, directories and mounts that a container
// needs come out as part of a plan, for package pod to create. It starts
// nothing and reads no file.
package translate
