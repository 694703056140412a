package translate

import "strings"

// expand replaces each $(NAME) in s by the value of lookup(NAME), by the rules of
// the Kubernetes API for command, args and env: an unknown reference is kept, $$
// becomes $, and a reference without its end is plain text.
func expand(s string, lookup func(string) (string, bool)) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		n := reference(&b, s[i+1:], lookup)
		i += n
	}
	return b.String()
}

// reference writes the value of the text after a $ and returns the number of
// bytes that it used.
func reference(b *strings.Builder, rest string, lookup func(string) (string, bool)) int {
	switch rest[0] {
	case '$':
		b.WriteByte('$')
		return 1
	case '(':
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			b.WriteString("$(")
			return 1
		}
		name := rest[1:end]
		if value, ok := lookup(name); ok {
			b.WriteString(value)
		} else {
			b.WriteString("$(" + name + ")")
		}
		return end + 1
	default:
		b.WriteByte('$')
		b.WriteByte(rest[0])
		return 1
	}
}

// expandAll expands each string of a command line.
func expandAll(in []string, env map[string]string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = expand(s, mapLookup(env))
	}
	return out
}

func mapLookup(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// expandStrict expands s and also returns the unknown references, which are an
// error in a subPathExpr.
func expandStrict(s string, env map[string]string) (string, []string) {
	var missing []string
	out := expand(s, func(name string) (string, bool) {
		v, ok := env[name]
		if !ok {
			missing = append(missing, name)
		}
		return v, ok
	})
	return out, missing
}
