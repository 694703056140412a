// Package overlay finds the overlay file system of a container and reads from
// its upper directory the changes of the container. The cost is that of the
// changes, not of the image.
//
// Layers are read through open directories, by the rules of the kernel's lookup
// (fs/overlayfs/namei.c). Package drift decides what a change means.
package overlay

import (
	"errors"
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// A Mount describes an overlay file system by its directories. They are paths in
// the mount namespace and root of process Namespace.
type Mount struct {
	Upper string   // empty if the overlay is read-only
	Work  string   // empty if the overlay is read-only
	Lower []string // top first
	Data  []string // data-only layers with the content of metacopy files, top first

	UserXattr  bool // attributes are in user.overlay.*, not in trusted.overlay.*
	NoRedirect bool // redirects are refused (redirect_dir=nofollow)
	Index      bool // hard links are preserved (index=on)
	// NoMarks means that the upper directory is an ordinary one, such as a volume: whoever
	// writes to it must not be able to hide a file by attributes of overlayfs.
	NoMarks bool
	// AllXattrs means that entries have the attributes of overlayfs too, for comparing a
	// layer itself.
	AllXattrs bool

	// Namespace is the process in whose mount namespace the overlay was mounted,
	// or 0 for our own.
	Namespace int
	// Points are the mount points below the overlay's root in the process that
	// was asked for, sorted.
	Points []string
	// WorkDir is the working directory of the container's first process.
	WorkDir WorkDir
}

// ErrNoOverlay is returned for a root or directory that is not an overlay.
var ErrNoOverlay = errors.New("not an overlay file system")

// errOptions is returned for invalid mount options of an overlay.
var errOptions = errors.New("options of an overlay that cannot be understood")

// defaults are the defaults of the overlay module, which the kernel does not show
// in the options of a mount.
type defaults struct {
	index      bool
	noRedirect bool
}

// parseOptions reads the file system options of an overlay as mountinfo shows
// them. Three forms occur:
//
//   - lowerdir= as it was given to mount(2), with overlayfs's own escapes
//     (\: \, \\), on top of which the kernel escapes comma, blank and backslash
//     in octal (up to Linux 6.5, and from 6.8 on);
//   - lowerdir= with the colons of names in octal as well (6.5 to 6.7);
//   - one lowerdir+= and datadir+= for each layer, without escapes of
//     overlayfs, where fsconfig(2) was used (from 6.7 on).
func parseOptions(options string, def defaults) (Mount, error) {
	return newOptions(splitOptions(options), def)
}

// Parse parses the options of an overlay in the form for mount(2), which snapshotters
// return.
func Parse(options []string) (Mount, error) {
	return newOptions(options, moduleDefaults())
}

func newOptions(options []string, def defaults) (Mount, error) {
	m := Mount{Index: def.index, NoRedirect: def.noRedirect}
	for _, option := range options {
		m.set(option)
	}
	if len(m.Lower) == 0 {
		return Mount{}, fmt.Errorf("no lowerdir in %q: %w", options, errOptions)
	}
	for _, dir := range m.dirs() {
		if *dir == "" || strings.Contains(*dir, "\x00") {
			return Mount{}, fmt.Errorf("a directory in %q: %w", options, errOptions)
		}
	}
	return m, nil
}

func (m *Mount) set(option string) {
	switch key, value, _ := strings.Cut(option, "="); key {
	case "upperdir":
		m.Upper = unescapeOverlay(mounts.Unescape(value))
	case "workdir":
		m.Work = unescapeOverlay(mounts.Unescape(value))
	case "lowerdir":
		m.Lower, m.Data = splitLower(value)
	case "lowerdir+":
		m.Lower = append(m.Lower, mounts.Unescape(value))
	case "datadir+":
		m.Data = append(m.Data, mounts.Unescape(value))
	case "userxattr":
		m.UserXattr = true
	case "redirect_dir":
		m.NoRedirect = value == "nofollow"
	case "index":
		m.Index = value == "on"
	}
}

// splitOptions splits at commas. Security modules quote values with commas:
// context="system_u:object_r:container_file_t:s0:c1,c2".
func splitOptions(s string) []string {
	var options []string
	start, isQuoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' && (isQuoted || i > 0 && s[i-1] == '='):
			isQuoted = !isQuoted
		case c == '\\' && isQuoted:
			i++
		case c == ',' && !isQuoted:
			options = append(options, s[start:i])
			start = i + 1
		}
	}
	return append(options, s[min(start, len(s)):])
}

// splitLower splits the value of lowerdir= at its colons. After a double colon
// come the layers that only hold data.
func splitLower(value string) (lower, data []string) {
	var dir strings.Builder
	isData := false
	end := func() {
		if isData {
			data = append(data, dir.String())
		} else {
			lower = append(lower, dir.String())
		}
		dir.Reset()
	}
	for i := 0; i < len(value); i++ {
		c, escaped := mounts.Octal(value[i:])
		if escaped {
			i += 3
		} else {
			c = value[i]
		}
		switch {
		case c == '\\' && i+1 < len(value):
			// An escape of overlayfs: the next character is literal.
			next, isOctal := mounts.Octal(value[i+1:])
			if isOctal {
				i += 4
			} else {
				i++
				next = value[i]
			}
			dir.WriteByte(next)
		case c == ':' && !escaped:
			end()
			if i+1 < len(value) && value[i+1] == ':' {
				isData = true
				i++
			}
		default:
			dir.WriteByte(c)
		}
	}
	end()
	return lower, data
}

// unescapeOverlay resolves overlayfs's own escapes: a backslash before any
// character.
func unescapeOverlay(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
