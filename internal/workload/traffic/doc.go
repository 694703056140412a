// Package traffic is the load balancer behind a Service on one machine: one
// listening address whose connections and requests are spread over backends
// that may be replaced at any time without a request failing.
//
// HTTP/1 is balanced per request, so that a client that keeps its connection
// open for hours still leaves a backend that is removed. Everything else (HTTP/2,
// databases, TLS that the backend ends) is balanced per connection and not parsed.
// A Balancer can end the TLS of its clients: their bytes are then read as others are.
//
// The Balancers of a Pool may share a listener: its rules lead each request to one of
// them, by host and path.
//
// Heads and bodies pass byte for byte, except for the Connection header of a
// response where that of the backend would be wrong, and for what Forwarding adds
// to a request. A request that two parsers
// could frame differently is refused and not repaired (RFC 9112, sections 6.3
// and 11.2), so that a backend never sees a request that this package did not
// see as the same one.
//
// It handles addresses and groups of addresses, not pods or rollouts, and does
// not check the health of backends: the caller decides which backends are in
// the route.
package traffic
