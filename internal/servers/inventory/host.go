package inventory

import "time"

// The default values.
const (
	DefaultPort           = 22
	DefaultConnectTimeout = 10 * time.Second // Ansible's; OpenSSH waits for TCP
)

// A Host is a server with everything that is needed to reach it.
type Host struct {
	Name           string // in the inventory, or on the command line
	Address        string // a name or an IP address to connect to, without brackets
	Port           int
	User           string
	Password       Secret   // for a server that asks for one
	IdentityFiles  []string // private keys; empty for those that OpenSSH tries by default
	IdentitiesOnly bool     // use no other keys of an agent
	ProxyJump      []Jump   // hosts to connect through, the first hop first; empty for a direct connection
	HostKeyAlias   string   // the name of the host in known_hosts, if not Address
	UserKnownHosts []string // known_hosts files; they need not exist
	ConnectTimeout time.Duration
	Become         Become

	Groups []string // sorted, without "all"; empty for a host that is in no inventory

	Origin Origin            // where the host is named first
	From   map[string]Origin // origins of the fields that were set, by the field's name
	Notes  []Note            // settings that were ignored
}

// A Jump is a host through which another is reached, with the settings of ssh_config.
type Jump struct {
	Name           string // in the option that names it
	Address        string
	Port           int
	User           string
	IdentityFiles  []string
	IdentitiesOnly bool
	HostKeyAlias   string
	UserKnownHosts []string
	ConnectTimeout time.Duration

	Origin Origin // of the option that names it
}

// Become configures how to become another user once connected. Only sudo is
// supported.
type Become struct {
	On       bool
	User     string // "root" unless it is set
	Password Secret // for sudo, if it asks for one
}
