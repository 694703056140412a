package scan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// errCorrupt is returned for a file that is not a cache or was damaged.
var errCorrupt = errors.New("it is corrupt, or of another version")

// parse reads a cache file. The result shares its memory. All of its records are
// well-formed and can be read without further checks.
func parse(data []byte) (cached, error) {
	if len(data) < headerSize+dirSize+sha256.Size || string(data[:len(cacheMagic)]) != cacheMagic {
		return cached{}, errCorrupt
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return cached{}, errCorrupt
	}
	c := cached{rules: Digest(body[headerSize-sha256.Size : headerSize]), size: len(data)}
	var err error
	c.top, err = parseDirs(body[headerSize:])
	return c, err
}

// parseDirs reads directories, each before those in it.
func parseDirs(rest []byte) (*Dir, error) {
	top := &Dir{}
	type open struct {
		dir  *Dir
		left int // in it that are still to come
	}
	var above []open
	for d, more := top, true; more; {
		var subs int
		var err error
		if rest, subs, err = parseDir(d, rest); err != nil {
			return nil, err
		}
		above = append(above, open{d, subs})
		for len(above) > 0 && above[len(above)-1].left == 0 {
			above = above[:len(above)-1]
		}
		if more = len(above) > 0; more {
			in := &above[len(above)-1]
			in.left--
			d = &Dir{}
			in.dir.subs = append(in.dir.subs, d)
		}
	}
	if len(rest) > 0 {
		return nil, errCorrupt
	}
	return top, nil
}

// parseDir parses one directory. It returns the rest of the data and the number of
// directories in it.
func parseDir(d *Dir, b []byte) (rest []byte, subs int, err error) {
	if len(b) < dirSize {
		return nil, 0, errCorrupt
	}
	d.self, d.listed = key(b), b[keySize] == 1
	d.digest = Digest(b[keySize+1:])
	count := binary.LittleEndian.Uint32(b[dirSize-12:])
	size := binary.LittleEndian.Uint64(b[dirSize-8:])
	if b = b[dirSize:]; size > uint64(len(b)) {
		return nil, 0, errCorrupt
	}
	d.records = block(b[:size:size])
	subs, ok := d.records.check()
	if !ok || uint64(subs) != uint64(count) {
		return nil, 0, errCorrupt
	}
	return b[size:], subs, nil
}

// check reports whether a block consists of records, in the order of their names,
// and how many of them are directories.
func (b block) check() (dirs int, ok bool) {
	var last []byte
	for len(b) > 0 {
		if len(b) < headSize || uint64(len(b)) < uint64(record(b).size()) {
			return 0, false
		}
		var r record
		r, b = b.next()
		if !r.isWellFormed() || last != nil && bytes.Compare(last, r.name()) >= 0 {
			return 0, false
		}
		if last = r.name(); r.kind() == tree.Directory {
			dirs++
		}
	}
	return dirs, true
}

func (r record) isWellFormed() bool {
	name := r.name()
	if len(name) == 0 || string(name) == "." || string(name) == ".." || bytes.ContainsAny(name, "/\x00") {
		return false
	}
	if r[r.nameEnd()] != 0 || r.kind() > tree.Socket || r.has(hasContent) && r.kind() != tree.Regular {
		return false
	}
	if len(r.extra()) == 0 {
		return true
	}
	_, err := extraParts(r.extra())
	return err == nil
}
