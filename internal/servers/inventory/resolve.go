package inventory

import (
	"slices"
	"strings"
)

// connections are the values of ansible_connection that stand for SSH.
var connections = []string{"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh"}

// sudoMethods are the values of ansible_become_method that stand for sudo.
var sudoMethods = []string{"sudo", "ansible.builtin.sudo"}

// member returns the Host of a member of the inventory.
func (r resolver) member(m *member, vars variables) (Host, error) {
	if err := checkConnection(vars); err != nil {
		return Host{}, err
	}
	s, err := inventorySettings(vars)
	if err != nil {
		return Host{}, err
	}
	alias, at := m.name, m.at
	address, given, err := vars.last(varsHost)
	if err != nil {
		return Host{}, err
	}
	if given {
		alias, at = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(address.text), "["), "]"), address.from
	}
	if alias == "" {
		return Host{}, fail(address.from, "write a name or an IP address", "%s is empty", address.name)
	}
	h, err := r.host(alias, s, at)
	if err != nil {
		return Host{}, err
	}
	h.Name, h.Origin, h.Groups = m.name, m.at, slices.Sorted(slices.Values(m.groups))
	return h, h.setPasswords(vars)
}

// host returns the Host of an alias with the origin at, from settings that take
// precedence over ssh_config.
func (r resolver) host(alias string, s settings, at Origin) (Host, error) {
	// ssh_config can only add options that s does not have.
	if err := r.config.apply(alias, s); err != nil {
		return Host{}, err
	}
	j, from, err := r.endpoint(alias, s, at)
	if err != nil {
		return Host{}, err
	}
	way, err := r.jumps(j, s, []string{alias})
	if err != nil {
		return Host{}, err
	}
	if len(way) > 0 {
		from["ProxyJump"] = way[len(way)-1].Origin
	}
	return Host{
		Name: j.Name, Address: j.Address, Port: j.Port, User: j.User, IdentityFiles: j.IdentityFiles,
		IdentitiesOnly: j.IdentitiesOnly, ProxyJump: way, HostKeyAlias: j.HostKeyAlias,
		UserKnownHosts: j.UserKnownHosts, ConnectTimeout: j.ConnectTimeout, Become: Become{User: "root"},
		Origin: at, From: from, Notes: s.notes(),
	}, nil
}

// checkConnection refuses connections other than SSH.
func checkConnection(vars variables) error {
	v, ok, err := vars.last(varsConnection)
	if err != nil || !ok || slices.Contains(connections, v.text) {
		return err
	}
	return fail(v.from, "exclude the host with a pattern such as all:!name", "%s: %.40q is not SSH", v.name, v.text)
}

// inventorySettings returns the options that Ansible would pass to ssh. The order is
// that of Ansible's command line, because ssh uses the first value of an option.
func inventorySettings(vars variables) (settings, error) {
	s := settings{}
	arguments := func(names []string) error {
		v, ok, err := vars.last(names)
		if err != nil || !ok {
			return err
		}
		return s.setArgs(v)
	}
	if v, ok, err := vars.last(varsKeyCheck); err != nil {
		return nil, err
	} else if verified, err := v.truth(); ok && err == nil && !verified {
		s.set(optHostKeyChecking, v.from, "no")
	}
	if err := arguments(varsArgs); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		key   string
		names []string
	}{
		{optPort, varsPort}, {optIdentityFile, varsKey}, {optUser, varsUser}, {optTimeout, varsTimeout},
	} {
		v, ok, err := vars.last(step.names)
		if err != nil {
			return nil, err
		}
		if ok && step.key == optIdentityFile { // these add up, and set would drop a second one
			s[step.key] = append(s[step.key], option{v.text, v.from})
		} else if ok {
			s.set(step.key, v.from, strings.TrimSpace(v.text))
		}
	}
	if err := arguments(varsCommon); err != nil {
		return nil, err
	}
	return s, arguments(varsExtra)
}

// setPasswords sets the passwords and the fields of Become, for which ssh_config has no
// options.
func (h *Host) setPasswords(vars variables) error {
	for _, step := range []struct {
		names []string
		field string
		read  func(variable) error
	}{
		{varsPassword, "Password", func(v variable) error { h.Password = NewSecret(v.text); return nil }},
		{varsBecome, "Become.On", func(v variable) (err error) { h.Become.On, err = v.truth(); return err }},
		{varsBecomeUser, "Become.User", func(v variable) error { h.Become.User = v.text; return nil }},
		{varsBecomePass, "Become.Password", func(v variable) error { h.Become.Password = NewSecret(v.text); return nil }},
		{varsMethod, "Become.Method", func(v variable) error {
			if !h.Become.On || slices.Contains(sudoMethods, v.text) {
				return nil
			}
			return fail(v.from, "use sudo", "%s: %.40q is not supported", v.name, v.text)
		}},
	} {
		v, ok, err := vars.last(step.names)
		if err == nil && ok {
			h.From[step.field] = v.from
			err = step.read(v)
		}
		if err != nil {
			return err
		}
	}
	if h.Become.User == "" || strings.ContainsFunc(h.Become.User, func(r rune) bool { return r <= ' ' }) {
		return fail(h.From["Become.User"], "name a user", "%.40q is nobody to become", h.Become.User)
	}
	return nil
}
