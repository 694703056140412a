package scan

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// A cache file is cacheMagic, the root's inode and device, the SHA-256 of the
// policy's version, and the directories, each before those in it: its key, one
// byte that is 1 if its names are certain, its digest, how many directories are
// in it, how many bytes its records have, and these. The last 32 bytes are the
// SHA-256 of all before. Numbers are little-endian.
const cacheMagic = "adamant scan v1\n"

const (
	headerSize = len(cacheMagic) + 16 + sha256.Size
	dirSize    = keySize + 1 + sha256.Size + 4 + 8
)

// maxCache bounds a cache that is read, in bytes.
const maxCache = 2 << 30

// A cached is the content of a cache file.
type cached struct {
	top   *Dir
	rules Digest
	size  int
}

func rulesOf(p Policy) Digest { return sha256.Sum256([]byte(p.Version)) }

// identity is the part of a key that names the file.
func (k *key) identity() []byte { return append(bytes.Clone(k[:8]), k[inKeyDev:]...) }

// load reads the cache of a root. Without one there is no error.
func (s *scanner) load(root key) (cached, error) {
	none := cached{top: s.nothing}
	if s.opts.Cache == "" || s.opts.Full {
		return none, nil
	}
	data, err := readOwn(s.opts.Cache)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	c, err := parse(data)
	if err == nil && !bytes.Equal(data[len(cacheMagic):headerSize-sha256.Size], root.identity()) {
		err = errors.New("it is of another root")
	}
	if err != nil {
		return none, err
	}
	return c, nil
}

// readOwn reads a file that belongs to the user and that nobody else may open:
// another user could otherwise forge a cache that hides changes.
func readOwn(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, errors.New("it is no regular file")
	case int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0:
		return nil, errors.New("it is not the user's alone")
	case st.Size > maxCache:
		return nil, fmt.Errorf("it has %d bytes", st.Size)
	}
	data := make([]byte, st.Size)
	_, err = io.ReadFull(f, data)
	return data, err
}

// isWorthSaving reports whether reading the changes again would cost more than
// writing the cache.
func isWorthSaving(anew int, bytes int64, size int) bool {
	const entry = 4096 // an entry costs as much as reading so many bytes
	return bytes+int64(anew)*entry > int64(size)
}

// save atomically replaces the cache.
func (s *scanner) save(top *Dir) error {
	if info, err := os.Lstat(s.opts.Cache); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", s.opts.Cache)
	}
	if err := os.MkdirAll(filepath.Dir(s.opts.Cache), 0o700); err != nil {
		return err
	}
	return durable.Write(s.opts.Cache, 0o600, func(w io.Writer) error { return write(w, top, rulesOf(s.opts.Policy)) })
}

// write writes a cache. It does not recurse: directories may be nested to any depth.
func write(to io.Writer, top *Dir, rules Digest) error {
	h := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(to, h), bufferSize)
	w.WriteString(cacheMagic)
	w.Write(top.self.identity())
	w.Write(rules[:])
	var head []byte
	for todo := []*Dir{top}; len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for i := len(d.subs) - 1; i >= 0; i-- {
			todo = append(todo, d.subs[i])
		}
		head = append(head[:0], d.self[:]...)
		head = append(head, 0)
		if d.listed {
			head[keySize] = 1
		}
		head = append(head, d.digest[:]...)
		head = binary.LittleEndian.AppendUint32(head, uint32(len(d.subs)))
		head = binary.LittleEndian.AppendUint64(head, uint64(len(d.records)))
		w.Write(head)
		w.Write(d.records)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := to.Write(h.Sum(nil))
	return err
}
