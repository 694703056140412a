package inventory

import "time"

// The values of what nobody sets.
const (
	DefaultPort           = 22
	DefaultConnectTimeout = 10 * time.Second // Ansible's; OpenSSH waits for TCP
)

// A Host is a server and all that is known about how to reach it.
type Host struct {
	Name           string // as the inventory calls it, or as it was asked for
	Address        string // what to connect to: a name or an IP address, without brackets
	Port           int
	User           string
	Password       Secret   // for a server that asks for one
	IdentityFiles  []string // private keys; empty for those that OpenSSH tries by default
	IdentitiesOnly bool     // no other keys than these, whatever an agent holds
	ProxyJump      []Jump   // the way, first hop first; empty for a direct connection
	HostKeyAlias   string   // the name that its host key is known by, if not Address
	UserKnownHosts []string // files of host keys; those that do not exist are empty
	ConnectTimeout time.Duration
	Become         Become

	Groups []string // sorted, without "all"; of a host that is in no inventory none

	Origin Origin            // where the host is named first
	From   map[string]Origin // where each field that was set comes from, by the field's name
}

// A Jump is a host on the way to another, as ssh_config knows it.
type Jump struct {
	Name           string // as it was asked for
	Address        string
	Port           int
	User           string
	IdentityFiles  []string
	IdentitiesOnly bool
	HostKeyAlias   string
	UserKnownHosts []string
	ConnectTimeout time.Duration

	Origin Origin // where it is asked to go this way
}

// Become configures how to become another user once connected. Only sudo is
// supported.
type Become struct {
	On       bool
	User     string // "root" unless it is set
	Password Secret // for sudo, if it asks for one
}
