// Package local keeps declared workloads running on this machine: the declared
// number of instances, of the declared generation, behind the addresses of
// their Services. Instances are replaced and never updated in place.
//
// Its store holds the declared objects, every generation with its pinned
// images, and the history, so that the next process continues where this one
// ended. internal/workload/rollout decides; this package executes the decisions
// with the pods of internal/pod.
package local
