// Package translate translates the spec of a pod to the CRI configuration of its
// sandbox and containers, by the kubelet's rules for mounts, environment, security
// contexts, seccomp, resources, DNS and host names.
//
// The package is pure: it starts nothing and reads no files. Everything that
// depends on the machine or on the running pod is an input, see Facts. The files,
// directories and mounts that a container needs are part of the plans that it
// returns; package pod creates them.
package translate
