// Package ssh runs commands on servers over SSH, for whoever knows what to
// run. It knows no agent, no snapshot and no inventory's patterns.
//
// A host key is verified always, on each hop of the way. What ssh(1) reads is
// read here too: known_hosts files, keys, certificates beside them and the
// agent. ssh_config is not: package inventory has applied it to the Host.
//
// A server may be hostile. Nothing it sends is kept without a bound, and what
// goes into an error is made visible first. The caller bounds what its own
// writers and readers take.
package ssh
