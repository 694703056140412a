package tree

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The canonical encoding of a tree, version 1, is lines of text, one an entry,
// in tree order, between a first and a last line:
//
//	adamant tree 1
//	d 0755 0 0 /
//	f 0644 0 0 /etc/hosts size=9 sha256=<64 hex digits> link=/etc/hosts
//	l 0777 0 0 /var/run target=/run
//	c 0666 0 0 /dev/null device=1:3
//	f 0755 0 0 /bin/ping size=3 xattr:security.capability=<hex>
//	end 5
//
// A line has the kind (f, d, l, c, b, p or s), the mode in octal, owner, group and
// path, and then the fields that the entry has, in the order size, sha256, target,
// device, xattrs by name, link. Every regular file has size, and sha256 if its content
// was read. In paths, targets and names the backslash and every byte that is not a
// printing ASCII character are written as \xHH, and so is "=" in the name of an
// extended attribute. The last line has the number of entries, so that a truncated tree
// is detected. Modification times are not encoded. A tree has exactly one encoding, and
// Parse accepts no other.
const encodingHeader = "adamant tree 1"

const kindLetters = "fdlcbps" // in the order of the Kind constants

// maxLine bounds a line of the encoding, in bytes. It is above the kernel's limits on
// paths and extended attributes.
const maxLine = 16 << 20

// WriteTo writes the canonical encoding and implements io.WriterTo.
func (t Tree) WriteTo(w io.Writer) (int64, error) {
	return t.encode(w, func(e Entry) Entry { return e })
}

// Digest returns "sha256:<hex>" over the identity of all entries: the canonical
// encoding without the fields that Diff does not compare. Two trees have the
// same digest if and only if they have the same paths and every entry has the
// same identity, except that content which was not read counts by its size.
func (t Tree) Digest() string {
	h := sha256.New()
	_, _ = t.encode(h, identity) // a hash never returns an error
	return DigestPrefix + hex.EncodeToString(h.Sum(nil))
}

// identity returns an entry without the fields that Diff does not compare.
func identity(e Entry) Entry {
	e.Link = ""
	if e.Kind == Symlink {
		e.Mode = 0o777
	}
	if e.Size == 0 {
		e.Digest = ""
	}
	return e
}

func (t Tree) encode(w io.Writer, as func(Entry) Entry) (int64, error) {
	var written int64
	buf := append([]byte(encodingHeader), '\n')
	flush := func() error {
		n, err := w.Write(buf)
		written += int64(n)
		buf = buf[:0]
		return err
	}
	for i := range t.entries {
		buf = appendEntry(buf, as(t.entries[i]))
		if len(buf) >= 1<<16 {
			if err := flush(); err != nil {
				return written, err
			}
		}
	}
	buf = fmt.Appendf(buf, "end %d\n", len(t.entries))
	return written, flush()
}

func appendEntry(b []byte, e Entry) []byte {
	b = fmt.Appendf(b, "%c %04o %d %d ", kindLetters[e.Kind-1], e.Mode, e.UID, e.GID)
	b = appendEscaped(b, e.Path)
	if e.Kind == Regular {
		b = fmt.Appendf(b, " size=%d", e.Size)
	}
	if e.Digest != "" {
		b = append(append(b, " sha256="...), e.Digest[len(DigestPrefix):]...)
	}
	if e.Target != "" {
		b = appendEscaped(append(b, " target="...), e.Target)
	}
	if e.Kind == CharDevice || e.Kind == BlockDevice {
		b = fmt.Appendf(b, " device=%d:%d", e.Major, e.Minor)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		b = appendEscaped(append(b, " xattr:"...), name, '=')
		b = hex.AppendEncode(append(b, '='), []byte(e.Xattrs[name]))
	}
	if e.Link != "" {
		b = appendEscaped(append(b, " link="...), e.Link)
	}
	return append(b, '\n')
}

// Escape writes a path or name as the encoding of a tree does: every byte that
// is not a printing ASCII character, and the backslash, is \xHH.
func Escape(name string) string { return string(appendEscaped(nil, name)) }

func appendEscaped(b []byte, s string, also ...byte) []byte {
	const digits = "0123456789abcdef"
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' || slices.Contains(also, c) {
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// Parse reads the canonical encoding of a tree up to the end of r. It accepts
// nothing that WriteTo does not write. Memory is bounded by the size of the
// input.
func Parse(r io.Reader) (Tree, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<16), maxLine)
	lines.Split(scanExactLines)
	var entries []Entry
	first, last := true, false
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		switch {
		case last:
			return Tree{}, fmt.Errorf("parse tree: line %d: text after the end", n)
		case first:
			if string(line) != encodingHeader {
				return Tree{}, errors.New("parse tree: not an adamant tree of version 1")
			}
			first = false
		case bytes.HasPrefix(line, []byte("end ")):
			if string(line[4:]) != strconv.Itoa(len(entries)) {
				return Tree{}, fmt.Errorf("parse tree: line %d: %d entries, not %q", n, len(entries), line[4:])
			}
			last = true
		default:
			e, err := parseEntry(line)
			if err != nil {
				return Tree{}, fmt.Errorf("parse tree: line %d: %w", n, err)
			}
			if k := len(entries); k > 0 && ComparePaths(entries[k-1].Path, e.Path) >= 0 {
				return Tree{}, fmt.Errorf("parse tree: line %d: %q is out of order", n, e.Path)
			}
			entries = append(entries, e)
		}
	}
	if err := lines.Err(); err != nil {
		return Tree{}, fmt.Errorf("parse tree: %w", err)
	}
	if !last {
		return Tree{}, fmt.Errorf("parse tree: %w", io.ErrUnexpectedEOF)
	}
	t, err := New(entries)
	if err != nil {
		return Tree{}, fmt.Errorf("parse tree: %w", err)
	}
	return t, nil
}

// scanExactLines splits at line feeds, keeps carriage returns, and refuses a
// last line that does not end.
func scanExactLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// parseEntry reads one line leniently and then requires that the entry is
// valid and would be written as exactly this line.
func parseEntry(line []byte) (Entry, error) {
	var e Entry
	fields := strings.Split(string(line), " ")
	if len(fields) < 5 || len(fields[0]) != 1 {
		return e, errors.New("not an entry")
	}
	e.Kind = Kind(strings.Index(kindLetters, fields[0]) + 1)
	e.Mode = parseUint32(fields[1], 8)
	e.UID = parseUint32(fields[2], 10)
	e.GID = parseUint32(fields[3], 10)
	e.Path = unescape(fields[4])
	for _, field := range fields[5:] {
		e.parseField(field)
	}
	if err := e.Validate(); err != nil {
		return e, err
	}
	if !bytes.Equal(bytes.TrimSuffix(appendEntry(nil, e), []byte("\n")), line) {
		return e, errors.New("not in canonical form")
	}
	return e, nil
}

func (e *Entry) parseField(field string) {
	key, value, _ := strings.Cut(field, "=")
	name, isXattr := strings.CutPrefix(key, "xattr:")
	switch {
	case isXattr:
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		raw, _ := hex.DecodeString(value)
		e.Xattrs[unescape(name)] = string(raw)
	case key == "size":
		e.Size, _ = strconv.ParseInt(value, 10, 64)
	case key == "sha256":
		e.Digest = DigestPrefix + value
	case key == "target":
		e.Target = unescape(value)
	case key == "device":
		major, minor, _ := strings.Cut(value, ":")
		e.Major, e.Minor = parseUint32(major, 10), parseUint32(minor, 10)
	case key == "link":
		e.Link = unescape(value)
	}
}

// parseUint32 returns 0 if s is not a number. The entry is then not in canonical
// form, so that parseEntry returns an error.
func parseUint32(s string, base int) uint32 {
	n, _ := strconv.ParseUint(s, base, 32)
	return uint32(n)
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		if len(s) >= 4 && s[:2] == `\x` {
			if c, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				b.WriteByte(byte(c))
				s = s[4:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}
