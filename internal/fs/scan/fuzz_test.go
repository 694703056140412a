package scan

import (
	"bytes"
	"testing"
)

// A cache file, with a right checksum or a wrong one, is either refused or parsed to the
// content from which the same file is written.
func FuzzParse(f *testing.F) {
	// The corpus consists of caches that scans wrote.
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parse(data); err == nil && !bytes.Equal(data, seal(data)) {
			t.Error("the checksum was not looked at")
		}
		data = seal(data)
		c, err := parse(data)
		if err != nil {
			return
		}
		for r := range c.top.records.records() {
			r.entry()
			c.top.lookup(string(r.name()))
		}
		var again bytes.Buffer
		if err := write(&again, c.top, c.rules); err != nil {
			t.Fatal(err)
		}
		if second, err := parse(again.Bytes()); err != nil || second.top.digest != c.top.digest {
			t.Errorf("what was read cannot be written and read again: %v", err)
		}
	})
}

// A cache file is refused if any byte is changed or missing.
func TestWrittenCacheIsRead(t *testing.T) {
	s := newSubject(t)
	s.write("/etc/conf", "listen 80")
	s.write("/noted", "x")
	s.scan()
	data, err := readOwn(s.cache)
	must(t, err)
	for i := range data {
		broken := bytes.Clone(data)
		broken[i] ^= 0x80
		if _, err := parse(broken); err == nil {
			t.Fatalf("byte %d may be anything", i)
		}
		if _, err := parse(data[:i]); err == nil {
			t.Fatalf("%d bytes are taken for all", i)
		}
		// With the right checksum it only must not panic.
		_, _ = parse(seal(broken))
		_, _ = parse(seal(data[:i]))
	}
}
