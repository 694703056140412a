// Package learn finds out what a workload must write by running it, and proves
// that it works when it can write nothing else.
//
// It runs pods and puts questions to packages observe, profile and manifest;
// what follows from a trace, and how a manifest is edited, is theirs.
package learn
