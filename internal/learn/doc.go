// Package learn finds the paths that a workload must write by running it, and
// proves that the workload works when it can write nothing else.
//
// It runs pods under load, with package observe as their tracer. Package profile
// derives volumes from the traces, and package manifest edits manifests. learn is
// the only package of this group that others use, except for profile.
package learn
