// Package balancer is the process that balances the traffic of Services, and its
// client in the daemon. The process outlives the daemon, as the shims of containers
// do: while no daemon runs it serves with the last routes.
//
// Each process listens on a socket of its own in one directory, DIR/PID.sock. It
// answers HTTP with JSON documents, see message.go. One of the processes is the
// primary, which accepts clients. A newer program replaces it: the new process gets
// the listening sockets of the old one (SCM_RIGHTS), which retires, finishes its
// open connections, and ends.
//
// A process ends by itself in three cases: it has no addresses to listen on; it is
// retired and has no clients; or its socket was removed, so that no daemon could find
// it.
package balancer
