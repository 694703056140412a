// Package traffic is the load balancer behind a Service on one machine: one
// listening address, whose connections and requests are spread over backends
// that may be replaced at any time without a request failing.
//
// HTTP/1 is balanced per request, so that a client that keeps its connection
// for hours still leaves a backend that is to go. What is not HTTP/1 (TLS,
// HTTP/2, databases) is balanced per connection and not looked into.
//
// Heads and bodies pass byte for byte, but for the Connection header of a
// response where the one that the backend sent would not be true. Whatever two
// parsers could frame differently is refused rather than mended (RFC 9112,
// sections 6.3 and 11.2): a backend never sees a request that this package did
// not see as the same request.
//
// It knows addresses and groups of them, and nothing of pods or rollouts. It
// checks no backend's health: who is in the route is its user's decision.
package traffic
