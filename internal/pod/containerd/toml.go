package containerd

import (
	"fmt"
	"strings"
)

// toml writes the part of TOML that containerd's configuration needs. Tables are
// written in the order of their first value.
type toml struct {
	tables []string
	body   map[string]*strings.Builder
}

// set adds one value to a table; the table "" is the top of the file.
func (t *toml) set(table, key string, value any) {
	if t.body == nil {
		t.body = map[string]*strings.Builder{}
	}
	b := t.body[table]
	if b == nil {
		b = &strings.Builder{}
		t.tables = append(t.tables, table)
		t.body[table] = b
	}
	switch v := value.(type) {
	case string:
		fmt.Fprintf(b, "%s = %s\n", key, tomlString(v))
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = tomlString(s)
		}
		fmt.Fprintf(b, "%s = [%s]\n", key, strings.Join(quoted, ", "))
	default:
		fmt.Fprintf(b, "%s = %v\n", key, v)
	}
}

func (t *toml) String() string {
	var out strings.Builder
	for _, table := range t.tables {
		if table != "" {
			fmt.Fprintf(&out, "\n[%s]\n", table)
		}
		out.WriteString(t.body[table].String())
	}
	return out.String()
}

// tomlString quotes s as a basic string. It escapes quotes, backslashes and
// control characters, which TOML does not allow in such a string.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
