package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

var errnoName = regexp.MustCompile(`^E[A-Z0-9]{1,31}$`)

// Parse decodes and checks the JSON of one trace.
func Parse(data []byte) (Trace, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var t Trace
	if err := dec.Decode(&t); err != nil {
		return Trace{}, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return Trace{}, fmt.Errorf("text after the trace")
	}
	if t.Root != "init" && t.Root != "exec" && t.Root != "exercise" {
		return Trace{}, fmt.Errorf("root is %q, not init, exec or exercise", t.Root)
	}
	for _, a := range t.Accesses {
		if err := a.check(); err != nil {
			return Trace{}, fmt.Errorf("access %q: %w", a.Path, err)
		}
	}
	return t, nil
}

func (a Access) check() error {
	switch {
	case !slices.Contains(Ops(), a.Op):
		return fmt.Errorf("unknown operation %q", a.Op)
	case !IsClean(a.Path):
		return fmt.Errorf("path is not absolute and clean")
	case a.Mount != "" && !IsClean(a.Mount):
		return fmt.Errorf("mount %q is not absolute and clean", a.Mount)
	case a.Peer != "" && !IsClean(a.Peer):
		return fmt.Errorf("peer %q is not absolute and clean", a.Peer)
	case a.Errno != "" && !errnoName.MatchString(a.Errno):
		return fmt.Errorf("%q is no errno", a.Errno)
	case a.Count < 1 || a.Bytes < 0:
		return fmt.Errorf("count %d, bytes %d", a.Count, a.Bytes)
	}
	return nil
}

// IsClean reports whether a path is absolute, has no "." or ".." elements or double
// slashes, and no NUL.
func IsClean(p string) bool {
	return strings.HasPrefix(p, "/") && path.Clean(p) == p && !strings.ContainsRune(p, 0)
}
