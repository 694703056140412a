// Package scan reads all that is below a root, on all processors, and remembers
// it in a file, so that the next time only what changed is read again.
//
// What it keeps of a directory is one piece of memory, with a record for each
// name. A record is taken over as it is for as long as inode, size, times, mode
// and owner are what they were. ctime is among them, which nobody can set back,
// so that an edit that restores size and mtime is found.
//
// It is not about servers: a Policy decides which entries count and what
// identifies them.
package scan
