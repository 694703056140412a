// Package agentless reads servers on which no agent can run, with commands that
// nearly all servers have: sh, find, stat, sha256sum, md5sum, sed, grep and cat, of
// GNU or busybox. It writes nothing on the server.
//
// It is slower than an agent, because it has no cache and transfers the names of all
// files. Use an agent where one can run.
package agentless
