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
