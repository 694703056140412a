package capture

import (
	"fmt"
	"strings"
)

// splitWords splits a command line or a list of variables as systemd does: quotes
// keep words together, and a backslash escapes the next character
// (systemd.syntax(7)).
func splitWords(line string) ([]string, error) {
	var list []string
	var word strings.Builder
	quote, inWord := byte(0), false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'':
			if i++; i == len(line) {
				return nil, fmt.Errorf("%q ends in a backslash", line)
			}
			word.WriteByte(unescaped(line[i]))
			inWord = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				list = append(list, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q has a quote that does not end", line)
	}
	if inWord {
		list = append(list, word.String())
	}
	return list, nil
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 's':
		return ' '
	}
	return c
}

// substitute expands the variables in a command: a word $NAME becomes as many words
// as its value has, ${NAME} stays one word (systemd.service(5)). A variable without
// a value is empty. A secret becomes $(NAME), which the kubelet expands, so that the
// manifest does not hold its value.
func substitute(words []string, env []Variable) []string {
	values := map[string]string{}
	for _, v := range env {
		values[v.Name] = v.Value
		if v.File != "" {
			values[v.Name] = "$(" + v.Name + ")"
		}
	}
	var list []string
	for _, w := range words {
		if name, is := strings.CutPrefix(w, "$"); is && isVariable(name) {
			list = append(list, strings.Fields(values[name])...)
			continue
		}
		list = append(list, expandVariables(w, values))
	}
	return list
}

// expandVariables replaces ${NAME} by its value and $$ by one $.
func expandVariables(w string, values map[string]string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(w, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "{"), "}")
		switch {
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			w = rest[1:]
		case strings.HasPrefix(rest, "{") && closed && isVariable(name):
			b.WriteString(values[name])
			w = after
		default:
			b.WriteByte('$')
			w = rest
		}
	}
}

func isVariable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
