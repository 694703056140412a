// Package observe runs a container under ptrace and records the writes that the
// kernel saw as a trace.Trace. It runs beside the container, in a process that
// runc starts.
//
// It does not evaluate traces: package profile derives volumes from them.
package observe
