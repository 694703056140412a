package redact

import "strings"

// csv marks the columns of a table whose names are those of secrets.
func (m *marker) csv() {
	from, to := m.span(0)
	header := m.content[from:to]
	comma := ","
	for _, c := range []string{"\t", ";", "|"} {
		if strings.Count(header, c) > strings.Count(header, comma) {
			comma = c
		}
	}
	secret := map[int]bool{}
	for i, name := range strings.Split(header, comma) {
		if name = strings.Trim(name, "\"' \r"); strengthOf(name) >= weak {
			secret[i] = true
		}
	}
	if len(secret) == 0 {
		return
	}
	for n := 1; n < len(m.starts); n++ {
		from, to := m.span(n)
		line := m.content[from:to]
		if strings.ContainsAny(line, `"'`) {
			m.hide(from, to, value) // a comma can be in quotes
			continue
		}
		for i, field := range strings.Split(line, comma) {
			if secret[i] {
				m.hide(from, from+len(field), value)
			}
			from += len(field) + len(comma)
		}
	}
}
