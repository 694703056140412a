package traffic

import "errors"

const (
	maxSizeDigits = 15       // of a chunk, so that it fits an int64
	maxExtension  = 1 << 10  // bytes after a chunk's size
	maxTrailer    = 16 << 10 // bytes of the trailer section
)

var errChunk = errors.New("malformed chunk")

// chunks parses chunked framing (RFC 9112, section 7.1) as it passes. The zero
// value is at the beginning of a body.
type chunks struct {
	step  chunkStep
	left  int64 // of the chunk's data
	count int   // bytes of the current size, extension or trailer
}

type chunkStep uint8

const (
	chunkSize chunkStep = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // of a line
	trailerName
	trailerValue
	trailerLF
	trailerEndLF
	chunkEnd
)

// take returns how many bytes of p belong to the body, and whether it ends
// there.
func (c *chunks) take(p []byte) (n int, done bool, err error) {
	for n < len(p) && c.step != chunkEnd {
		if c.step == chunkData {
			d := min(int64(len(p)-n), c.left)
			n += int(d)
			if c.left -= d; c.left == 0 {
				c.step = chunkDataCR
			}
			continue
		}
		if !c.next(p[n]) {
			return n, false, errChunk
		}
		n++
	}
	return n, c.step == chunkEnd, nil
}

// next parses a byte that is not data, and returns false if it is invalid. It
// accepts a bare LF nowhere: parsers disagree about it (request smuggling, RFC 9112,
// section 11.2).
func (c *chunks) next(b byte) bool {
	switch c.step {
	case chunkSize:
		return c.size(b)
	case chunkExtension:
		if b == '\r' {
			c.step = chunkSizeLF
			return true
		}
		c.count++
		return c.count <= maxExtension && b != '\n' && b != 0
	case chunkSizeLF:
		c.step = chunkData
		if c.count = 0; c.left == 0 {
			c.step = trailerStart
		}
		return b == '\n'
	case chunkDataCR:
		c.step = chunkDataLF
		return b == '\r'
	case chunkDataLF:
		c.step = chunkSize
		return b == '\n'
	}
	return c.trailer(b)
}

func (c *chunks) size(b byte) bool {
	var digit byte
	switch {
	case '0' <= b && b <= '9':
		digit = b - '0'
	case 'a' <= b && b <= 'f':
		digit = b - 'a' + 10
	case 'A' <= b && b <= 'F':
		digit = b - 'A' + 10
	case b == '\r' && c.count > 0:
		c.step = chunkSizeLF
		return true
	case b == ';' && c.count > 0:
		c.step, c.count = chunkExtension, 0
		return true
	default:
		return false
	}
	c.left = c.left<<4 | int64(digit)
	c.count++
	return c.count <= maxSizeDigits
}

// trailer parses a byte of the trailer fields, which have the form of header
// fields.
func (c *chunks) trailer(b byte) bool {
	if c.count++; c.count > maxTrailer {
		return false
	}
	switch c.step {
	case trailerStart:
		if b == '\r' {
			c.step = trailerEndLF
			return true
		}
		c.step = trailerName
		return tokenChars[b]
	case trailerName:
		if b == ':' {
			c.step = trailerValue
			return true
		}
		return tokenChars[b]
	case trailerValue:
		if b == '\r' {
			c.step = trailerLF
		}
		return b != '\n' && b != 0
	case trailerLF:
		c.step = trailerStart
		return b == '\n'
	}
	c.step = chunkEnd // after trailerEndLF
	return b == '\n'
}
