// Package ssh runs commands on servers over SSH. It does not know agents, snapshots
// or the patterns of an inventory.
//
// It verifies the host key of each hop, and has no option to skip that. It reads the
// same files as ssh(1): known_hosts, private keys, certificates beside them, and the
// agent. It does not read ssh_config, because package inventory has applied it to
// the Host.
//
// A server may be hostile. The package bounds everything that it keeps of a server's
// output, and escapes the part that goes into an error. Callers bound their own
// writers and readers.
package ssh
