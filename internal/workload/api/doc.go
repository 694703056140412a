// Package api is the protocol between the command line and the daemon that
// keeps declared workloads: JSON over HTTP on a unix socket that only root can
// open. The author of a change is the peer of the socket as reported by the
// kernel (SO_PEERCRED, unix(7)). It is not a network API.
package api

import "path/filepath"

// Socket returns the path of the daemon's socket in a state directory.
func Socket(state string) string { return filepath.Join(state, "adamant.sock") }
