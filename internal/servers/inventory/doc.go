// Package inventory says which servers there are and how each is reached over
// SSH. It reads Ansible's inventories (INI, YAML, group_vars and host_vars) and
// OpenSSH's ssh_config, and connects to nothing.
//
// Of Ansible's variables it knows those that concern connections, and ignores
// the others whatever they hold. What it would have to run or decrypt to know
// (templates, vaults, inventory plugins and scripts, Match exec) is refused for
// the hosts that need it, never guessed. So is whatever asks for a connection
// without a verified host key.
//
// Where Ansible and OpenSSH document a rule, it holds here: the precedence of
// variables is that of "Using Variables", patterns are those of "Patterns:
// targeting hosts and groups" and the first value of an option wins, as in
// ssh_config(5). What an inventory says beats ssh_config, which beats defaults.
package inventory
