// Package api is how the command line talks to the process that keeps the
// fleet: JSON over HTTP on a unix socket, which only root can open. Who asks is
// what the kernel says of the other end of the socket.
package api

import "path/filepath"

// Socket is where the daemon of a state directory listens.
func Socket(state string) string { return filepath.Join(state, "adamant.sock") }
