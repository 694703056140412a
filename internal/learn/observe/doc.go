// Package observe runs a container under ptrace and records, as a trace.Trace,
// what the kernel saw it write. It runs beside the container, in a process of
// its own that runc starts.
//
// It judges nothing: package profile derives volumes from a trace.
package observe
