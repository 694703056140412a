// Package tartest writes and reads tar archives in tests.
package tartest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"testing"
)

// Write returns an archive of headers. The content of a regular file is its Uname.
func Write(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Uname = h.Uname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Contents returns the entries of an archive by name: the mode, and the content or
// the target of a symbolic link.
func Contents(t testing.TB, archive io.Reader) map[string]string {
	t.Helper()
	got := map[string]string{}
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if h.Typeflag == tar.TypeSymlink {
			text = "-> " + h.Linkname
		}
		got[h.Name] = fmt.Sprintf("%04o %s", h.Mode, text)
	}
}
