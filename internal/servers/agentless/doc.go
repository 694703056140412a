// Package agentless reads servers on which no agent runs, by commands
// that nearly all have: sh, find, stat, sha256sum, md5sum, sed, grep and cat, as
// GNU and busybox have them. Nothing is written on the server.
//
// It takes longer than an agent does, brings the names of all files, and
// remembers nothing: whoever can use an agent should.
package agentless
