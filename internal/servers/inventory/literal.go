package inventory

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// The kinds of values that a text of an INI inventory may have.
const (
	literalText = iota
	literalNone
	literalOther // a list, a mapping, a tuple, bytes
)

// Numbers of Python, and the characters with which an element of a list may begin.
var (
	pythonInt   = regexp.MustCompile(`^[-+]?(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|[1-9](?:_?[0-9])*|0(?:_?0)*)$`)
	pythonFloat = regexp.MustCompile(`^[-+]?(?:(?:[0-9](?:_?[0-9])*)?\.[0-9](?:_?[0-9])*|[0-9](?:_?[0-9])*\.?)(?:[eE][-+]?[0-9](?:_?[0-9])*)?$`)
	pythonItem  = regexp.MustCompile(`^(?:['"\[({]|[-+]?[0-9.])`)
)

// pythonLiteral parses a value of an INI inventory. Ansible evaluates it as a literal of
// Python if it is one. Otherwise the value is the text itself.
func pythonLiteral(text string) (value string, kind int) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return text, literalText
	}
	if value, rest, ok := pythonStrings(trimmed); ok {
		if isComment(rest) {
			return value, literalText
		}
		return text, literalText
	}
	word, _, hasComment := strings.Cut(trimmed, "#")
	word = strings.TrimSpace(word)
	switch {
	case word == "None":
		return "", literalNone
	case word == "True" || word == "False":
		return word, literalText
	case pythonInt.MatchString(word):
		return canonicalInt(word), literalText
	case pythonFloat.MatchString(word) && strings.ContainsAny(word, ".eE"):
		return canonicalFloat(word), literalText
	case !hasComment && isPythonCollection(word):
		return "", literalOther
	}
	return text, literalText
}

// isPythonCollection reports whether a text may be a list, a mapping, a tuple or bytes of
// Python. A text such as "{{ x }}" or "[::1]" is none.
func isPythonCollection(text string) bool {
	if len(text) > 2 && (text[0] == 'b' || text[0] == 'B') && (text[1] == '\'' || text[1] == '"') {
		return true
	}
	inner := text[1:max(len(text)-1, 1)]
	switch text[0] {
	case '[', '(', '{':
		closing := map[byte]byte{'[': ']', '(': ')', '{': '}'}[text[0]]
		isEmpty := strings.TrimSpace(inner) == ""
		return text[len(text)-1] == closing && (isEmpty || pythonItem.MatchString(strings.TrimSpace(inner)) && !strings.HasPrefix(text, "{{") && !strings.Contains(inner, "::"))
	}
	before, after, isTuple := strings.Cut(text, ",")
	return isTuple && isNumber(before) && (strings.TrimSpace(after) == "" || isNumber(strings.TrimSpace(after)))
}

func isNumber(text string) bool {
	text = strings.TrimSpace(text)
	return pythonInt.MatchString(text) || pythonFloat.MatchString(text) && strings.ContainsAny(text, ".eE")
}

// canonicalInt returns the decimal digits of an integer of Python.
func canonicalInt(text string) string {
	text = strings.ReplaceAll(text, "_", "")
	if strings.Trim(text, "+-0") == "" {
		return "0"
	}
	if len(text) > maxName {
		return text
	}
	n, ok := new(big.Int).SetString(text, 0)
	if !ok {
		return text
	}
	return n.String()
}

// canonicalFloat returns a float as Python prints it.
func canonicalFloat(text string) string {
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil {
		return text
	}
	exponent := strconv.FormatFloat(f, 'e', -1, 64)
	_, digits, _ := strings.Cut(exponent, "e")
	if n, err := strconv.Atoi(digits); err != nil || n < -4 || n >= 16 {
		return exponent
	}
	plain := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(plain, ".") {
		plain += ".0"
	}
	return plain
}

func isComment(rest string) bool {
	rest = strings.TrimSpace(rest)
	return rest == "" || rest[0] == '#'
}

// pythonStrings parses string literals of Python, of which several in a row are one. ok is
// false if the text does not begin with one.
func pythonStrings(text string) (value, rest string, ok bool) {
	rest = text
	for rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		inner, after, closed := pythonString(rest[1:], rest[0])
		if !closed {
			return "", "", false
		}
		value, rest, ok = value+inner, strings.TrimLeft(after, " \t"), true
	}
	return value, rest, ok
}

// pythonEscapes are the characters that a backslash and a letter stand for.
var pythonEscapes = map[byte]byte{
	'\\': '\\', '\'': '\'', '"': '"', 'n': '\n', 't': '\t', 'r': '\r', 'a': '\a', 'b': '\b', 'f': '\f', 'v': '\v',
}

// pythonString parses a string literal of Python after its opening quote. ok is false for
// escapes of code points, which no value about connections needs.
func pythonString(text string, quote byte) (inner, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == quote {
			return b.String(), text[i+1:], true
		}
		if c != '\\' || i+1 == len(text) {
			b.WriteByte(c)
			continue
		}
		i++
		if escaped, known := pythonEscapes[text[i]]; known {
			b.WriteByte(escaped)
			continue
		}
		if strings.IndexByte("xuUN01234567", text[i]) >= 0 {
			return "", "", false
		}
		b.WriteByte('\\')
		b.WriteByte(text[i])
	}
	return "", "", false
}
