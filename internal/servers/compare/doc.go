// Package compare finds in which files and facts servers differ, which of them
// is the odd one out, and which causes the differences have. It also compares
// one server with its own past.
//
// Files are compared by digests of whole directories, so that equal directories
// are never sent. Servers answer as Peers of package facts; this package does not
// know how they are reached.
package compare
