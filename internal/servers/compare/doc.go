// Package compare finds the files and facts in which servers differ, the servers that
// deviate from the others, and the causes of the differences. It also compares one
// server with its own past.
//
// Files are compared by digests of whole directories, so that equal directories
// are never sent. Servers answer as Peers of package facts; this package does not
// know how they are reached.
package compare
