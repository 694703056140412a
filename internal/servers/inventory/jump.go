package inventory

import (
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

// A destination is a host in the syntax of ssh's command line.
type destination struct {
	user string
	host string
	port string // empty if there is none
}

// parseDestination parses [user@]host[:port], [user@][ipv6][:port] and
// ssh://[user@]host[:port]. It refuses a password, and does not show it.
func parseDestination(text string, from Origin) (destination, error) {
	hint := "write [user@]host[:port]; an IPv6 address with a port in brackets"
	var d destination
	rest, isURL := strings.CutPrefix(text, "ssh://")
	if isURL {
		rest = strings.TrimSuffix(rest, "/")
	}
	// A host name has no "@", but the user name of a domain account may.
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		d.user, rest = rest[:i], rest[i+1:]
		if strings.Contains(d.user, ":") {
			return d, fail(from, "leave it out; ansible_password in a file that only you can read may hold one", "a password in the destination of %.80q", rest)
		}
		if d.user == "" {
			return d, fail(from, hint, "%.80q names no user before the @", text)
		}
	}
	if isURL {
		if user, err := url.PathUnescape(d.user); err == nil {
			d.user = user
		}
	}
	var ok bool
	d.host, d.port, ok = cutDestination(rest)
	if _, isPort := parsePort(d.port); !ok || d.port != "" && !isPort {
		return d, fail(from, hint, "%.80q is no destination", text)
	}
	return d, checkName("host", d.host, from)
}

// cutDestination splits the host from the port.
func cutDestination(text string) (host, port string, ok bool) {
	if inner, after, isIP := cutBrackets(text); isIP {
		return inner, strings.TrimPrefix(after, ":"), after != ":"
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return text, "", true
	}
	host, port, hasPort := strings.Cut(text, ":")
	ok = host != "" && !strings.ContainsAny(text, "[]/") && !strings.Contains(port, ":") && hasPort == (port != "")
	return host, port, ok
}

// settings returns the options that are part of a destination.
func (d destination) settings(from Origin) settings {
	s := settings{}
	if d.user != "" {
		s.set(optUser, from, d.user)
	}
	if d.port != "" {
		s.set(optPort, from, d.port)
	}
	return s
}

// jumps returns the jumps to a host: those of its ProxyJump, or of an equivalent
// ProxyCommand. The first jump may have jumps of its own. seen are the aliases that
// were resolved on the way here, to detect a loop.
func (r resolver) jumps(target Jump, s settings, seen []string) ([]Jump, error) {
	if o, ok := s.get(optProxyJump); ok {
		return r.proxyJump(o, target, seen)
	}
	if o, ok := s.get(optProxyCommand); ok {
		return r.proxyCommand(o, seen)
	}
	return nil, nil
}

func (r resolver) proxyJump(o option, target Jump, seen []string) ([]Jump, error) {
	if strings.EqualFold(strings.Trim(o.value, `"`), "none") {
		return nil, nil
	}
	text, err := r.tokens(target).expand(option{strings.Trim(o.value, `"`), o.from})
	if err != nil {
		return nil, err
	}
	var way []Jump
	for i, hop := range strings.Split(text, ",") {
		d, err := parseDestination(strings.TrimSpace(hop), o.from)
		if err != nil {
			return nil, err
		}
		// OpenSSH reaches each jump but the first through those before it, and
		// ignores a ProxyJump that is configured for it.
		hops, err := r.jump(d.host, d.settings(o.from), i == 0, o.from, seen)
		if err != nil {
			return nil, err
		}
		if way = append(way, hops...); len(way) > maxJumps {
			return nil, fail(o.from, "", "more than %d jumps", maxJumps)
		}
	}
	return way, nil
}

// jump returns a jump, after the jumps that lead to it.
func (r resolver) jump(alias string, s settings, isFirst bool, from Origin, seen []string) ([]Jump, error) {
	if slices.Contains(seen, alias) {
		return nil, fail(from, "write ProxyJump none in a Host section for it", "the way to %.80q leads through itself", alias)
	}
	if len(seen) > maxJumps {
		return nil, fail(from, "", "more than %d jumps", maxJumps)
	}
	if err := r.config.apply(alias, s); err != nil {
		return nil, err
	}
	j, _, err := r.endpoint(alias, s, from)
	if err != nil {
		return nil, err
	}
	if !isFirst {
		return []Jump{j}, nil
	}
	way, err := r.jumps(j, s, append(slices.Clip(seen), alias))
	return append(way, j), err
}

const proxyHint = "write ProxyJump [user@]host, or run `ssh -W %h:%p [user@]host` as the ProxyCommand"

// proxyCommand returns the jump of "ssh -W %h:%p [user@]host". It returns an error for
// any other command, because this package runs none.
func (r resolver) proxyCommand(o option, seen []string) ([]Jump, error) {
	value := strings.TrimSpace(o.value)
	if strings.EqualFold(value, "none") {
		return nil, nil
	}
	words, err := shellWords(value, false)
	// In the arguments of Ansible the whole command is often quoted once more.
	if err == nil && len(words) == 1 && strings.Contains(words[0], " ") {
		words, err = shellWords(words[0], false)
	}
	if err != nil || len(words) == 0 {
		return nil, fail(o.from, proxyHint, "ProxyCommand is not understood")
	}
	if words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 0 || path.Base(words[0]) != "ssh" {
		return nil, fail(o.from, proxyHint, "ProxyCommand other than ssh -W is not run")
	}
	in, err := parseArgs(words[1:], o.from)
	if err != nil {
		return nil, err
	}
	if len(in.words) != 1 || in.forward != "%h:%p" && in.forward != "[%h]:%p" {
		return nil, fail(o.from, proxyHint, "ProxyCommand other than ssh -W %%h:%%p is not run")
	}
	d, err := parseDestination(in.words[0], o.from)
	if err != nil {
		return nil, err
	}
	s := d.settings(o.from)
	s.add(in.settings)
	return r.jump(d.host, s, true, o.from, seen)
}
