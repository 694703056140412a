package traffic

import "errors"

const (
	maxSizeDigits = 15       // of a chunk, so that it fits an int64
	maxExtension  = 1 << 10  // bytes after a chunk's size
	maxTrailer    = 16 << 10 // bytes of the trailer section
)

var errChunk = errors.New("malformed chunk")

// chunks reads chunked framing (RFC 9112, section 7.1) as it passes. The zero
// value stands at the beginning of a body.
type chunks struct {
	step  chunkStep
	left  int64 // of the chunk's data
	count int   // bytes of the present size, extension or trailer
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

// take returns how many of p belong to the body, and whether it ends there.
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

// next takes in a byte that is not data, and reports false if it must not be
// there.
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

// trailer takes in a byte of the fields after the last chunk, which have the
// form of those of a head.
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
