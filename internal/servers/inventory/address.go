package inventory

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parsePort parses a TCP port.
func parsePort(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil && n > 0
}

// The forms in which a port may follow a host, as in Ansible's parse_address.
var (
	bracketedPort = regexp.MustCompile(`^\[(.+)\]:([0-9]+)$`)
	plainPort     = regexp.MustCompile(`^((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)$`)
)

// cutPort splits a host of an inventory from its port: "h:22", "[::1]:22", "h[1:3]:22".
// port is empty if there is none. ok is false if Ansible does not take the rest for a host
// or a pattern of hosts. It then uses the whole text as a name.
func cutPort(text string) (host, port string, ok bool) {
	host = text
	for _, form := range []*regexp.Regexp{bracketedPort, plainPort} {
		if m := form.FindStringSubmatch(host); m != nil {
			host, port = m[1], m[2]
		}
	}
	if ipv4Pattern.MatchString(host) || ipv6Pattern.MatchString(host) || isHostPattern(host) {
		return host, port, true
	}
	return text, "", false
}

// The patterns of addresses, with ranges in the place of their parts.
var (
	ipv4Part    = `(?:[01]?[0-9]{1,2}|2[0-4][0-9]|25[0-5]|\[[0-9]+:[0-9]+(?::[0-9]+)?\])`
	ipv4Pattern = regexp.MustCompile(`^(?:` + ipv4Part + `\.){3}` + ipv4Part + `$`)
	ipv6Part    = `(?:[0-9a-f]{1,4}|\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\])`
	// Ansible anchors only the last alternative at the end, so "db::x" is an address, too.
	ipv6Pattern = regexp.MustCompile(strings.ReplaceAll(`(?i)^(?:(?:P:){7}P|(?:P:){1,6}:|(?:P:)(?::P){1,6}|(?:P:){2}(?::P){1,5}|`+
		`(?:P:){3}(?::P){1,4}|(?:P:){4}(?::P){1,3}|(?:P:){5}(?::P){1,2}|(?:P:){6}(?::P)|:(?::P){1,6}|P?::|`+
		`(?:0:){6}(?:P\.){3}P|::(?:ffff:)?(?:P\.){3}P|(?:0:){5}ffff:(?:P\.){3}P$)`, "P", ipv6Part))
	labelRange = regexp.MustCompile(`^\[(?:[a-zA-Z]:[a-zA-Z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]`)
)

// isHostPattern reports whether a text is a host name with ranges: labels that begin with
// a letter, a digit, "_" or a range, and do not end with "-" or "_".
func isHostPattern(text string) bool {
	begins, last := true, '.'
	for text != "" {
		if m := labelRange.FindString(text); m != "" {
			text, begins, last = text[len(m):], false, ']'
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		isWord := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
		switch {
		case isWord || r == '-' && !begins:
			begins = false
		case r == '.' && !begins && last != '-' && last != '_':
			begins = true
		default:
			return false
		}
		text, last = text[size:], r
	}
	return !begins && last != '-' && last != '_'
}

// cutBrackets splits "[::1]:22" into the address in the brackets and ":22". ok is false
// if the brackets do not hold an IP address.
func cutBrackets(text string) (inner, after string, ok bool) {
	rest, ok := strings.CutPrefix(text, "[")
	if !ok {
		return "", "", false
	}
	inner, after, ok = strings.Cut(rest, "]")
	if !ok || after != "" && after[0] != ':' {
		return "", "", false
	}
	_, err := netip.ParseAddr(inner)
	return inner, after, err == nil
}
