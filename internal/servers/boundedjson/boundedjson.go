// Package boundedjson reads JSON from another machine, which may be hostile. The
// memory for a message is bounded by the needs of an honest one, and errors quote
// it short and escaped. The package does not know the meaning of messages.
package boundedjson

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/adamant-sh/adamant/internal/text"
)

// MaxSize bounds one message, in bytes.
const MaxSize = 64 << 20

// Bounds of the content of a message. Size alone is not enough: a list of zeros takes
// fifty times its own size in memory.
const (
	maxElements = 1 << 19 // of all lists together
	maxToken    = 1 << 20 // a text or a number, in bytes
	maxDepth    = 32
)

// maxQuoted bounds the text of an error about a message, in bytes, because it may
// quote a number of a million digits.
const maxQuoted = 200

// Unmarshal is json.Unmarshal within the bounds, with short and escaped errors.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, MaxSize, maxToken) }

// UnmarshalLarge is Unmarshal for messages with large texts, such as listings of
// all files: only most, in bytes, bounds the message and each text.
func UnmarshalLarge(data []byte, v any, most int) error { return unmarshal(data, v, most, most) }

func unmarshal(data []byte, v any, size, token int) error {
	if err := measure(data, size, token); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return errors.New(text.Excerpt(err.Error(), maxQuoted))
	}
	return nil
}

// measure checks the bounds before json.Unmarshal allocates anything, without memory
// of its own. It does not check the syntax, because json.Unmarshal does.
func measure(data []byte, maxSize, maxToken int) error {
	if len(data) > maxSize {
		return fmt.Errorf("the message has more than %d bytes", maxSize)
	}
	var isList [maxDepth + 1]bool
	depth, elements, token := 0, 0, 0
	inText := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		if token++; token > maxToken {
			return fmt.Errorf("a text or number has more than %d bytes", maxToken)
		}
		switch {
		case c == '"':
			inText = !inText
		case inText && c == '\\': // the next character cannot end the text
			i++
		case inText:
		case c == '[', c == '{':
			if depth++; depth > maxDepth {
				return fmt.Errorf("the message is nested more than %d deep", maxDepth)
			}
			isList[depth], token = c == '[', 0
			if c == '[' {
				elements++
			}
		case c == ']', c == '}':
			depth, token = max(depth-1, 0), 0 // invalid JSON may close more than it opens
		case c == ',':
			token = 0
			if isList[depth] {
				elements++
			}
		case c == ':':
			token = 0
		}
		if elements > maxElements {
			return fmt.Errorf("its lists have more than %d elements", maxElements)
		}
	}
	return nil
}
