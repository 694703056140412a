// Package facts reads servers, the mutable ones, and compares them: which of
// several is the odd one out, in what, and what that comes of.
//
// A server is read by an Agent that runs on it; a Peer asks the agent over any
// pair of streams. Trees are compared by digests of whole directories, so that
// what is equal on all servers is never sent. How a server is reached is not
// decided here, and nothing here changes one.
package facts
