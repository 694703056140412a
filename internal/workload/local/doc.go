// Package local keeps declared workloads running on this machine: as many
// instances as are asked for, of the generation that is asked for, behind the
// addresses of their Services. What changes is replaced, never updated in
// place.
//
// It remembers in a store of its own what was declared, every generation with
// its pinned images, and what became of it, so that it finds everything again
// however it ended. The decisions are internal/workload/rollout's; here they are carried
// out on internal/pod's pods.
package local
