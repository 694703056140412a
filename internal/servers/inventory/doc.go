// Package inventory finds servers and how each is reached over SSH. It reads Ansible's
// inventories (INI, YAML, group_vars and host_vars) and OpenSSH's ssh_config. It does
// not connect to servers.
//
// It reads Ansible's variables about connections, and ignores all others. It refuses
// templates, vaults, inventory plugins, scripts and Match exec for the hosts that need
// them, because they would have to be run or decrypted. Other hosts are usable. Options
// that disable the verification of host keys are ignored.
//
// It follows the rules that Ansible and OpenSSH document: the precedence of variables
// is that of "Using Variables", patterns are those of "Patterns: targeting hosts and
// groups", and the first value of an option wins, as in ssh_config(5). An inventory
// takes precedence over ssh_config, which takes precedence over defaults.
package inventory
