package inventory

import (
	"errors"
	"strings"
)

var errQuote = errors.New("a quote is not closed")

// shellWords splits a line as Python's shlex.split does, which Ansible uses. Quotes and
// backslashes have the meaning of a shell. With comments, a "#" outside quotes ends the
// line, even within a word.
func shellWords(line string, comments bool) ([]string, error) {
	s := splitter{rest: line, comments: comments}
	var words []string
	for {
		word, ok, err := s.word()
		if err != nil || !ok {
			return words, err
		}
		words = append(words, word)
	}
}

type splitter struct {
	rest     string
	comments bool
}

// word returns the next word; ok is false at the end.
func (s *splitter) word() (word string, ok bool, err error) {
	s.rest = strings.TrimLeft(s.rest, " \t\r\n")
	var b strings.Builder
	for s.rest != "" {
		c := s.rest[0]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			return b.String(), true, nil
		case c == '#' && s.comments:
			s.rest = ""
			return b.String(), ok, nil
		}
		ok = true
		s.rest = s.rest[1:]
		switch {
		case c == '\'' || c == '"':
			if err := s.quoted(c, &b); err != nil {
				return "", false, err
			}
		case c != '\\':
			b.WriteByte(c)
		case s.rest == "":
			return "", false, errors.New("a backslash escapes nothing")
		default:
			b.WriteByte(s.rest[0])
			s.rest = s.rest[1:]
		}
	}
	return b.String(), ok, nil
}

// quoted reads up to the closing quote. In double quotes a backslash only escapes itself
// and the quote.
func (s *splitter) quoted(quote byte, b *strings.Builder) error {
	for s.rest != "" {
		c := s.rest[0]
		s.rest = s.rest[1:]
		if c == quote {
			return nil
		}
		if c == '\\' && quote == '"' && s.rest != "" && (s.rest[0] == '\\' || s.rest[0] == '"') {
			c, s.rest = s.rest[0], s.rest[1:]
		}
		b.WriteByte(c)
	}
	return errQuote
}

// literal parses a value of an INI inventory. Ansible evaluates it as a literal of Python
// if it is one: a quoted text, or a number with or without a comment. Otherwise the value
// is the text itself.
func literal(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if c := text[0]; c == '\'' || c == '"' {
		if inner, rest, ok := pythonString(text[1:], c); ok && isComment(rest) {
			return inner
		}
		return text
	}
	word, rest, _ := strings.Cut(text, "#")
	word = strings.TrimSpace(word)
	if rest != "" && isPlainLiteral(word) {
		return word
	}
	return text
}

func isComment(rest string) bool {
	rest = strings.TrimSpace(rest)
	return rest == "" || rest[0] == '#'
}

// isPlainLiteral reports whether a word is a number or a constant of Python. A number
// with a leading zero is not.
func isPlainLiteral(word string) bool {
	if word == "True" || word == "False" || word == "None" {
		return true
	}
	return word != "" && strings.Trim(word, "0123456789") == "" && (word[0] != '0' || len(word) == 1)
}

// pythonString parses a string literal of Python after its opening quote. ok is false for
// escapes of control characters and code points, which no value about connections needs.
func pythonString(text string, quote byte) (inner, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			switch text[i] {
			case '\\', '\'', '"':
			case 'x', 'u', 'U', 'N', 'n', 't', 'r', 'a', 'b', 'f', 'v', '0', '1', '2', '3', '4', '5', '6', '7':
				return "", "", false
			default:
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
