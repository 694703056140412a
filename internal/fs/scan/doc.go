// Package scan reads everything below a root, on all processors, and writes a cache,
// so that the next scan reads only the files that changed.
//
// A directory is one block of memory with a record for each name. A record is reused
// as long as inode, size, times, mode and owner are unchanged. They include ctime,
// which no program can reset, so that an edit that restores size and mtime is found.
//
// The package does not depend on servers: a Policy decides which entries count and
// what identifies them.
package scan
