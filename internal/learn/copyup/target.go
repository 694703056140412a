package copyup

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// A Target is one volume and the content that it gets.
type Target struct {
	Path    string // in the image, absolute and clean; the volume is mounted at To + Path
	SubPath string // name in the volume's root under which the content goes; empty if it is the root itself
	File    bool   // Path is a single file; SubPath is required
	Owner   *Owner // if the image does not have the path, or in place of the image's
}

// An Owner is the mode and owner of a volume's root, subdirectory or file.
type Owner struct {
	Mode uint32 // at most 07777
	UID  uint32
	GID  uint32
}

// String returns the target as the command-line argument that ParseTarget
// parses: the path, and the options without those that have their defaults.
//
//	/var/lib/app:subpath=app,mode=0700,uid=999,gid=999
//
// A path cannot contain a colon, which Kubernetes forbids in mount paths too,
// and a name cannot contain a comma.
func (t Target) String() string {
	var options []string
	if t.SubPath != "" {
		options = append(options, "subpath="+t.SubPath)
	}
	if o := t.Owner; o != nil {
		options = append(options, fmt.Sprintf("mode=%04o,uid=%d,gid=%d", o.Mode, o.UID, o.GID))
	}
	if t.File {
		options = append(options, "file")
	}
	if len(options) == 0 {
		return t.Path
	}
	return t.Path + ":" + strings.Join(options, ",")
}

// ParseTarget parses an argument. If only some of mode, uid and gid are given,
// the others are 0755 and root's.
func ParseTarget(arg string) (Target, error) {
	name, options, some := strings.Cut(arg, ":")
	t := Target{Path: name}
	if some {
		for option := range strings.SplitSeq(options, ",") {
			if err := t.set(option); err != nil {
				return Target{}, fmt.Errorf("target %q: %w", arg, err)
			}
		}
	}
	if err := t.validate(); err != nil {
		return Target{}, fmt.Errorf("target %q: %w", arg, err)
	}
	return t, nil
}

func (t *Target) set(option string) error {
	if option == "file" {
		t.File = true
		return nil
	}
	key, value, _ := strings.Cut(option, "=")
	base, bits := 10, 32
	switch key {
	case "subpath":
		t.SubPath = value
		return nil
	case "mode":
		base, bits = 8, 12
	case "uid", "gid":
	default:
		return fmt.Errorf("no such option as %q: there are subpath, mode, uid, gid and file", key)
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
	case strings.Contains(t.Path, ":"):
		return fmt.Errorf("path %q has a colon", t.Path)
	case t.Path == "/":
		return fmt.Errorf("the root directory cannot be a volume")
	case t.SubPath != "" && (path.Base(t.SubPath) != t.SubPath || t.SubPath == "." || t.SubPath == ".." ||
		t.SubPath == staging || strings.ContainsAny(t.SubPath, ",\x00")):
		return fmt.Errorf("subpath %q is not the name of a directory entry", t.SubPath)
	case t.File && t.SubPath == "":
		return fmt.Errorf("a single file needs a subpath, its name in the volume")
	case t.Owner != nil && t.Owner.Mode > 0o7777:
		return fmt.Errorf("mode %#o is more than 07777", t.Owner.Mode)
	}
	return nil
}
