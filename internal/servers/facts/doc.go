// Package facts reads servers: their files, and from these and from the kernel
// facts such as packages, users and services. It compares nothing and changes
// nothing.
//
// An agent that runs on a server reads it (Serve); a Peer sends requests to the
// agent over any pair of streams. A Snapshot or a server without an agent answers
// the same requests in this process. How a server is reached is decided
// elsewhere.
package facts
