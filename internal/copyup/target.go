package copyup

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// A Target is one volume and what belongs into it.
type Target struct {
	Path    string // in the image, absolute and clean; the volume is mounted at To + Path
	SubPath string // name in the volume's root under which the content goes; empty if it is the root itself
	File    bool   // Path is a single file; SubPath is required
	Owner   *Owner // of what the image does not have, or in place of the image's
}

// An Owner is the mode and owner of a volume's root, subdirectory or file.
type Owner struct {
	Mode uint32 // at most 07777
	UID  uint32
	GID  uint32
}

// String writes the target as one command-line argument, which ParseTarget
// reads: the path, then what is not as usual, as in a URL:
//
//	/var/lib/app?sub=app&mode=0700&uid=999&gid=999
func (t Target) String() string {
	s := (&url.URL{Path: t.Path}).EscapedPath()
	q := url.Values{}
	if t.SubPath != "" {
		q.Set("sub", t.SubPath)
	}
	if t.File {
		q.Set("file", "true")
	}
	if o := t.Owner; o != nil {
		q.Set("mode", fmt.Sprintf("%04o", o.Mode))
		q.Set("uid", strconv.FormatUint(uint64(o.UID), 10))
		q.Set("gid", strconv.FormatUint(uint64(o.GID), 10))
	}
	if len(q) > 0 {
		s += "?" + q.Encode()
	}
	return s
}

// ParseTarget reads an argument. A plain path is one, if it has neither "?"
// nor "%".
func ParseTarget(arg string) (Target, error) {
	escaped, query, _ := strings.Cut(arg, "?")
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return Target{}, fmt.Errorf("parse target %q: %w", arg, err)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return Target{}, fmt.Errorf("parse target %q: %w", arg, err)
	}
	t := Target{Path: name}
	for key, values := range q {
		if err := t.set(key, values[len(values)-1]); err != nil {
			return Target{}, fmt.Errorf("parse target %q: %w", arg, err)
		}
	}
	if err := t.validate(); err != nil {
		return Target{}, fmt.Errorf("parse target %q: %w", arg, err)
	}
	return t, nil
}

func (t *Target) set(key, value string) error {
	base, bits := 10, 32
	switch key {
	case "sub":
		t.SubPath = value
		return nil
	case "file":
		t.File = value == "true"
		return nil
	case "mode":
		base, bits = 8, 12
	case "uid", "gid":
	default:
		return fmt.Errorf("no such setting as %q: there are sub, file, mode, uid and gid", key)
	}
	n, err := strconv.ParseUint(value, base, bits)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if t.Owner == nil {
		t.Owner = &Owner{Mode: 0o755}
	}
	switch key {
	case "mode":
		t.Owner.Mode = uint32(n)
	case "uid":
		t.Owner.UID = uint32(n)
	case "gid":
		t.Owner.GID = uint32(n)
	}
	return nil
}

func (t Target) validate() error {
	switch {
	case !strings.HasPrefix(t.Path, "/") || path.Clean(t.Path) != t.Path || strings.Contains(t.Path, "\x00"):
		return fmt.Errorf("path %q is not absolute and clean", t.Path)
	case t.Path == "/":
		return fmt.Errorf("the root directory cannot be a volume")
	case t.SubPath != "" && (path.Base(t.SubPath) != t.SubPath || t.SubPath == "." || t.SubPath == ".." ||
		t.SubPath == staging || strings.Contains(t.SubPath, "\x00")):
		return fmt.Errorf("sub %q is not the name of a directory entry", t.SubPath)
	case t.File && t.SubPath == "":
		return fmt.Errorf("a single file needs sub, its name in the volume")
	case t.Owner != nil && t.Owner.Mode > 0o7777:
		return fmt.Errorf("mode %#o is more than 07777", t.Owner.Mode)
	}
	return nil
}
