// Package copyup fills the volumes of a sealed container, before the container
// starts, with the content that the image has at their paths. It runs as an
// init container, in images without a shell, as root with few capabilities or as
// another user.
//
// It guarantees for each volume:
//
//   - Owner, mode, extended attributes, times, symbolic and hard links, FIFOs and
//     devices are as in the image, the volume's own root included. Sockets
//     and mounts over the image are left out.
//   - A file appears under its name only when it is complete. If copyup is
//     killed, the next run completes the volume.
//   - A volume that is complete is never changed again, because an init container
//     runs again when its pod is restarted, and an emptyDir survives that with
//     the changes of the container.
//   - No symbolic link is followed out of the image or out of the volume.
//
// The state is in the volume: while it is incomplete, its root holds a directory
// ".adamant-copy-up", in which entries are made before they get their names.
// Without that directory, a volume that is not empty is complete. An empty one
// is complete if it has the attribute "user.adamant.copy-up", which is set where
// the file system supports it, because the container may have removed all files.
// If a part of the volume is filled, it is complete once that part exists.
package copyup

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Options configures Run.
type Options struct {
	From    string   // root of the image: "/" in a container of it, or where it is mounted
	To      string   // directory below which each volume is mounted at the path of its Target
	Targets []Target // one a volume
	Strict  bool     // fail where an owner, mode or attribute cannot be kept; else Warn is called

	// Warn receives one line for each thing that was not preserved or was left
	// out. It may be nil.
	Warn func(line string) `json:"-"`
}

// ErrNotKept is returned by a strict run that could not preserve an owner, mode
// or attribute. The volumes are complete otherwise.
var ErrNotKept = errors.New("not everything could be kept as it is in the image")

// Run fills all volumes, one after the other. It stops when ctx ends, and a
// later run continues. Without CAP_CHOWN, CAP_FOWNER and CAP_DAC_OVERRIDE it
// preserves whatever its user may set, and leaves out what the user cannot
// read: the container's program could not have read it either.
func Run(ctx context.Context, opts Options) error {
	from, err := openRoot(opts.From)
	if err != nil {
		return fmt.Errorf("open image root %s: %w", opts.From, err)
	}
	defer unix.Close(from)
	to, err := openRoot(opts.To)
	if err != nil {
		return fmt.Errorf("open volumes %s: %w", opts.To, err)
	}
	defer unix.Close(to)

	c := copier{ctx: ctx, from: from, to: to, warn: opts.Warn}
	defer c.sayRest()
	for _, t := range opts.Targets {
		if err := t.validate(); err != nil {
			return fmt.Errorf("copy up: %w", err)
		}
	}
	for _, t := range opts.Targets {
		if err := c.fill(t); err != nil {
			return fmt.Errorf("copy up %s: %w", t.Path, err)
		}
	}
	if opts.Strict && c.lost > 0 {
		return fmt.Errorf("copy up: %w", ErrNotKept)
	}
	return nil
}

// maxWarnings is the number of lines that Warn receives before a last line with
// the number of suppressed ones. A user without capabilities cannot preserve
// any owner, which is a warning for each file.
const maxWarnings = 50

// A copier fills volumes.
type copier struct {
	ctx      context.Context
	from, to int
	warn     func(string)
	said     int
	lost     int
}

// lose warns that a part of a path was not preserved.
func (c *copier) lose(name, format string, args ...any) {
	c.lost++
	c.say(name, format, args...)
}

// say warns that a path is left out on purpose.
func (c *copier) say(name, format string, args ...any) {
	if c.said++; c.said > maxWarnings || c.warn == nil {
		return
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		name = quoted
	}
	c.warn(name + ": " + fmt.Sprintf(format, args...))
}

// sayRest warns about the number of suppressed warnings.
func (c *copier) sayRest() {
	if c.said > maxWarnings && c.warn != nil {
		c.warn(fmt.Sprintf("and %d more", c.said-maxWarnings))
	}
}
