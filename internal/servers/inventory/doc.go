// Package inventory finds the servers and how each is reached over SSH. It reads Ansible's inventories (INI, YAML, group_vars and host_vars) and
// OpenSSH's ssh_config, and connects to nothing.
//
// Of Ansible's variables it knows those that concern connections, and ignores
// the others whatever they hold. Templates, vaults, inventory plugins and scripts and Match
// exec are refused for the hosts that need them, because they would have to be run
// or decrypted. So are options that ask for a connection without a verified host
// key.
//
// Where Ansible and OpenSSH document a rule, it holds here: the precedence of
// variables is that of "Using Variables", patterns are those of "Patterns:
// targeting hosts and groups" and the first value of an option wins, as in
// ssh_config(5). An inventory takes precedence over ssh_config, which takes
// precedence over defaults.
package inventory
