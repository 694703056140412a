package overlay

// maxText is the length in bytes up to which a trail keeps its path as text: PATH_MAX.
const maxText = 4096

// A trail is the path of a directory as a chain of names. A process can nest directories
// until their paths have megabytes. If every directory kept its whole path, memory would
// grow with the square of the depth.
type trail struct {
	parent *trail // nil for the root
	name   string
	size   int // of the path, in bytes
	// text is the path, or, of a path longer than maxText, that of the nearest directory
	// above whose path is not.
	text string
}

func newRootTrail() *trail { return &trail{size: 1, text: "/"} }

func (t *trail) child(name string) *trail {
	c := &trail{parent: t, name: name, size: t.sizeOf(name), text: t.text}
	if c.size <= maxText {
		c.text = join(t.text, name)
	}
	return c
}

// sizeOf returns the length of the path of a name in the directory.
func (t *trail) sizeOf(name string) int {
	if t.parent == nil {
		return 1 + len(name)
	}
	return t.size + 1 + len(name)
}

// short returns the path of a name in the directory. Directories in the middle are
// omitted if it is longer than maxText.
func (t *trail) short(name string) string { return join(t.text, name) }

// full returns the whole path of a name in the directory, or of the directory itself if
// the name is empty.
func (t *trail) full(name string) string {
	if t.size <= maxText {
		if name == "" {
			return t.text
		}
		return join(t.text, name)
	}
	size := t.size
	if name != "" {
		size = t.sizeOf(name)
	}
	b := make([]byte, size)
	end := size
	put := func(s string) {
		end -= len(s)
		copy(b[end:], s)
		end--
		b[end] = '/'
	}
	if name != "" {
		put(name)
	}
	for at := t; at.parent != nil; at = at.parent {
		put(at.name)
	}
	return string(b)
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}
