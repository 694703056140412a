// Package reach records the state of a machine on which its reachability depends and
// that is in no ordinary file: links, addresses, routes, rules, firewalls, kernel
// settings, units, mounts, device nodes and the clock. A later call restores the
// recorded state by comparing it with the present one, and changes only the differences.
//
// It does not restore files on disks and knows no changes, see package change.
package reach
