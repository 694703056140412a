package inventory

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A resolver turns settings into hosts.
type resolver struct {
	config *config
	home   string
	user   string // on this machine, and the default on others
}

// endpoint returns the host of an alias and the origins of its fields. at is the origin
// of the alias.
func (r resolver) endpoint(alias string, s settings, at Origin) (Jump, map[string]Origin, error) {
	j := Jump{
		Name: alias, Address: alias, Port: DefaultPort, User: r.user, ConnectTimeout: DefaultConnectTimeout, Origin: at,
		UserKnownHosts: []string{filepath.Join(r.home, ".ssh", "known_hosts"), filepath.Join(r.home, ".ssh", "known_hosts2")},
	}
	from := map[string]Origin{"Address": at}
	// OpenSSH would look the name up, and match the configuration once more with the
	// result. This package makes no connections.
	if o, ok := s.get(optCanonicalize); ok && !strings.EqualFold(o.value, "no") {
		return j, from, fail(o.from, "write HostName", "CanonicalizeHostname is not supported")
	}
	for _, f := range r.fields(&j, s) {
		if o, ok := s.get(f.key); ok {
			from[f.name] = o.from
			if err := f.read(o); err != nil {
				return j, from, err
			}
		}
	}
	return j, from, checkEndpoint(j, from)
}

// A field is a field of a Jump with the option that sets it.
type field struct {
	key, name string
	read      func(option) error
}

// fields returns the fields in an order in which the values of tokens are known:
// IdentityFile and UserKnownHostsFile may contain %h, %p and %r.
func (r resolver) fields(j *Jump, s settings) []field {
	return []field{
		{optHostName, "Address", func(o option) (err error) {
			j.Address, err = tokens{'h': j.Name}.expand(o)
			return err
		}},
		{optPort, "Port", func(o option) (err error) { j.Port, err = o.port(); return err }},
		{optUser, "User", func(o option) error { j.User = o.value; return nil }},
		{optHostKeyAlias, "HostKeyAlias", func(o option) error { j.HostKeyAlias = o.value; return nil }},
		{optIdentitiesOnly, "IdentitiesOnly", func(o option) (err error) {
			j.IdentitiesOnly, err = o.isYes("IdentitiesOnly")
			return err
		}},
		{optTimeout, "ConnectTimeout", func(o option) (err error) {
			if !strings.EqualFold(o.value, "none") {
				j.ConnectTimeout, err = o.seconds("ConnectTimeout")
			}
			return err
		}},
		{optIdentityFile, "IdentityFiles", func(option) (err error) {
			j.IdentityFiles, err = r.paths(s[optIdentityFile], r.tokens(*j))
			return err
		}},
		{optKnownHosts, "UserKnownHosts", func(option) (err error) {
			j.UserKnownHosts, err = r.knownHosts(s[optKnownHosts], r.tokens(*j))
			return err
		}},
	}
}

// checkEndpoint returns an error for an invalid address or user.
func checkEndpoint(j Jump, from map[string]Origin) error {
	isOdd := func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }
	// The zone of an IPv6 address is the name of an interface; the rest is valid
	// if it can be parsed.
	name := j.Address
	if ip, err := netip.ParseAddr(j.Address); err == nil {
		name = ip.Zone()
	}
	if j.Address == "" || len(j.Address) > maxName || strings.ContainsFunc(j.Address, isOdd) ||
		strings.ContainsFunc(name, isPunctuation) {
		return fail(from["Address"], "write a name or an IP address, and the port apart", "%s: %.80q is no address", j.Name, j.Address)
	}
	if j.User == "" || strings.ContainsFunc(j.User, isOdd) {
		return fail(from["User"], "name a user", "%s: %.80q is no user", j.Name, j.User)
	}
	return nil
}

// isPunctuation reports whether a character is not part of host names. Many of these
// characters have a meaning for shells or patterns. Non-ASCII letters are permitted.
func isPunctuation(r rune) bool {
	return r < 0x80 && !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._-", r))
}

// tokens holds the values of "%x" in ssh_config, by the letter.
type tokens map[byte]string

func (r resolver) tokens(j Jump) tokens {
	return tokens{'h': j.Address, 'n': j.Name, 'p': strconv.Itoa(j.Port), 'r': j.User, 'd': r.home, 'u': r.user}
}

func (t tokens) expand(o option) (string, error) {
	var b strings.Builder
	for i := 0; i < len(o.value); i++ {
		c := o.value[i]
		if c != '%' {
			b.WriteByte(c)
			continue
		}
		if i++; i == len(o.value) {
			return "", fail(o.from, "write %% for a percent sign", "%.80q ends in the middle of a token", o.value)
		}
		if o.value[i] == '%' {
			b.WriteByte('%')
			continue
		}
		text, ok := t[o.value[i]]
		if !ok {
			return "", fail(o.from, "write it out", "%%%c in %.80q is not supported here", o.value[i], o.value)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// paths expands "~", tokens and environment variables. It drops "none".
func (r resolver) paths(options []option, t tokens) ([]string, error) {
	var all []string
	for _, o := range options {
		if strings.EqualFold(o.value, "none") {
			continue
		}
		path, err := r.path(o, t)
		if err != nil {
			return nil, err
		}
		all = append(all, path)
	}
	return all, nil
}

func (r resolver) path(o option, t tokens) (string, error) {
	text, err := t.expand(o)
	if err != nil {
		return "", err
	}
	switch after, isHome := strings.CutPrefix(text, "~/"); {
	case isHome:
		text = filepath.Join(r.home, after)
	case strings.HasPrefix(text, "~"):
		return "", fail(o.from, "write the directory out", "%.80q: the home of another user", text)
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		value, isSet := os.LookupEnv(name)
		if !closed || !isSet {
			return "", fail(o.from, "set it, or write the path out", "there is no environment variable %.80q", name)
		}
		b.WriteString(value)
		text = after
	}
}

// knownHosts returns the paths of files with host keys. It refuses /dev/null, which
// users write to disable the verification.
func (r resolver) knownHosts(options []option, t tokens) ([]string, error) {
	all, err := r.paths(options, t)
	if err != nil {
		return nil, err
	}
	for _, path := range all {
		if filepath.Clean(path) == os.DevNull {
			return nil, fail(options[0].from, "leave it out, and put the key into known_hosts: ssh-keyscan HOST, compared with the server's own",
				"UserKnownHostsFile=%s: host keys are always verified", os.DevNull)
		}
	}
	return all, nil
}
