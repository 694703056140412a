package manifest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// A Chunk is the text of one document of a stream, or of a few that belong together.
type Chunk struct {
	Line int // in the stream, from 1
	Data []byte

	// Offset is that of Data in the stream. Exact is set if the stream has the bytes of Data
	// there: a byte order mark within a document is left out of Data.
	Offset int64
	Exact  bool

	// TooLarge is set if the document is larger than MaxFileSize. Data is its beginning
	// then.
	TooLarge bool
}

// A Splitter splits a stream into its documents without parsing them: at lines of
// --- and ..., which no scalar can contain, and after JSON values. It holds one
// document at a time.
type Splitter struct {
	r    *bufio.Reader
	line int   // of the next line to be read
	read int64 // bytes
	err  error

	chunk   Chunk
	content bool // the chunk has more than comments and markers
	json    jsonScanner
}

// NewSplitter returns a Splitter of r.
func NewSplitter(r io.Reader) *Splitter {
	return &Splitter{r: bufio.NewReaderSize(r, 64<<10), line: 1}
}

// Next returns the next document. At the end of the stream it returns io.EOF.
func (s *Splitter) Next() (Chunk, error) {
	for s.err == nil {
		begins := s.line
		head, whole, err := s.readLine()
		if err != nil {
			s.err = err
			if len(head) == 0 {
				break
			}
		}
		marker := isMarker(head)
		var done Chunk
		if marker == '-' && s.content {
			done = s.take(s.read - int64(len(head)))
		}
		blank := s.add(begins, head, marker)
		for !whole && err == nil {
			head, whole, err = s.readLine()
			s.err = err
			// A line that begins with many blanks has its first text in a later part.
			blank = blank && s.begin(head, marker)
			s.append(head)
		}
		switch {
		case done.Line > 0:
			return done, nil
		case s.content && (marker == '.' || s.json.ends(s.chunk.Data)):
			return s.take(s.read), nil
		}
	}
	if s.content {
		return s.take(s.read), nil
	}
	return Chunk{}, s.err
}

// readLine reads a line with its end, or the next part of a long one.
func (s *Splitter) readLine() (line []byte, whole bool, err error) {
	line, err = s.r.ReadSlice('\n')
	s.read += int64(len(line))
	if errors.Is(err, bufio.ErrBufferFull) {
		return line, false, nil
	}
	if len(line) > 0 && line[len(line)-1] == '\n' {
		s.line++
	}
	return line, true, err
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

// isMarker returns '-' for a line that begins a document, '.' for one that ends one,
// and 0 for others.
func isMarker(line []byte) byte {
	line = bytes.TrimPrefix(line, byteOrderMark)
	if len(line) < 3 || line[0] != '-' && line[0] != '.' || line[1] != line[0] || line[2] != line[0] {
		return 0
	}
	if len(line) > 3 && bytes.IndexByte([]byte(" \t\r\n"), line[3]) < 0 {
		return 0
	}
	return line[0]
}

// maxPreamble bounds the comments before a document that are kept.
const maxPreamble = 1 << 20

// add adds the beginning of a line. It returns true if that is blank.
func (s *Splitter) add(number int, line []byte, marker byte) (blank bool) {
	// Files that were put together may have a mark anywhere.
	line = bytes.TrimPrefix(line, byteOrderMark)
	if !s.content && len(s.chunk.Data) > maxPreamble {
		s.chunk = Chunk{}
	}
	if s.chunk.Line == 0 {
		s.chunk.Line, s.chunk.Offset = number, s.read-int64(len(line))
	}
	skip := 0
	if marker != 0 {
		skip = 3
	}
	directive := !s.content && len(line) > 0 && line[0] == '%'
	if !directive {
		s.append(line[:skip])
		line = line[skip:]
		blank = s.begin(line, marker)
	}
	s.append(line)
	return blank
}

// begin looks for the beginning of the content in a part of a line that has only blanks
// before it. It returns true if the part is blank, too.
func (s *Splitter) begin(part []byte, marker byte) (blank bool) {
	text := bytes.TrimLeft(part, " \t\r\n")
	if len(text) == 0 {
		return true
	}
	if s.content || text[0] == '#' {
		return false
	}
	s.content = true
	s.json = jsonScanner{active: marker == 0 && (text[0] == '{' || text[0] == '[')}
	if s.json.active {
		s.json.begin = len(s.chunk.Data) + len(part) - len(text)
	}
	return false
}

// append adds bytes to the chunk, up to the limit. One that has no content yet is too
// large only until add drops it.
func (s *Splitter) append(data []byte) {
	if s.chunk.TooLarge || len(s.chunk.Data)+len(data) > MaxFileSize {
		s.chunk.TooLarge = true
		s.json.active = false
		return
	}
	s.chunk.Data = append(s.chunk.Data, data...)
}

// take returns the chunk, which ends at an offset in the stream.
func (s *Splitter) take(end int64) Chunk {
	c := s.chunk
	c.Exact = c.Offset+int64(len(c.Data)) == end
	s.chunk, s.content, s.json = Chunk{}, false, jsonScanner{}
	return c
}

// A jsonScanner finds the end of a JSON value in the text of a chunk, so that a stream
// of values need not be held as one. Flow style YAML begins like JSON, so the end is
// only one if the text before it is valid.
type jsonScanner struct {
	active bool
	begin  int // offset of the value
	next   int // offset of what was not scanned yet, after begin
	depth  int
	quoted bool
	escape bool
}

// ends reports whether data ends after a JSON value and white space.
func (j *jsonScanner) ends(data []byte) bool {
	if !j.active {
		return false
	}
	end := -1
	j.next = max(j.next, j.begin)
	for ; j.next < len(data) && j.depth >= 0; j.next++ {
		c := data[j.next]
		switch {
		case j.escape:
			j.escape = false
		case j.quoted:
			j.escape, j.quoted = c == '\\', c != '"'
		case c == '"':
			j.quoted = true
		case c == '{' || c == '[':
			j.depth++
		case c == '}' || c == ']':
			if j.depth--; j.depth == 0 {
				end = j.next + 1
			}
		}
	}
	if j.depth != 0 || end < 0 {
		j.active = j.depth >= 0
		return false
	}
	j.active = false
	return len(bytes.TrimSpace(data[end:])) == 0 && json.Valid(data[j.begin:])
}
