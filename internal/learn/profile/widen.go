package profile

import (
	"slices"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// A Failure is a call that failed in a read-only run and should not have.
type Failure struct {
	trace.Access
	Reason string `json:"reason"`         // why it counts
	Mild   bool   `json:"mild,omitempty"` // the program may work without the call: it fails no proof on its own
}

// withEvidence adds the writes that failed in a proof because they need a
// volume.
func withEvidence(writes []Write, evidence []Failure, s Rootfs) []Write {
	l := newWriteSet(s)
	l.failed = true
	for _, f := range evidence {
		if f.Errno == "EROFS" || f.Errno == "EXDEV" || f.Errno == "EBUSY" {
			a := f.Access
			a.Errno, a.Mount = "", ""
			l.trace(a)
		}
	}
	more, _, _ := l.lists()
	return mergeWrites(writes, more)
}

// blockedBy returns the paths that cannot be mount points, because the program
// creates (EEXIST), removes or renames (EBUSY) them.
func blockedBy(evidence []Failure) map[string]bool {
	blocked := map[string]bool{}
	for _, f := range evidence {
		if f.Errno == "EEXIST" && f.Op == trace.Mkdir || f.Errno == "EBUSY" {
			blocked[f.Path] = true
		}
	}
	return blocked
}

// Widen plans a container's volumes again after a failed proof, with the
// failures as evidence, and reports whether the result differs. If not, another
// proof would fail in the same way.
//
// If the failed calls need nothing new, or there are none (a program may check
// a directory and refuse it), Widen tries other causes: first the mode and owners
// of directories, which Exact preserves, then a directory that exists before
// the program would create it, so that the program does not fill it.
func Widen(c Container, s Rootfs, failures []Failure) (Container, bool) {
	before := c.Volumes
	failures = slices.DeleteFunc(slices.Clone(failures), func(f Failure) bool { return isDispensable(f.Path) })
	c.Evidence = mergeEvidence(c.Evidence, failures)
	c = Plan(c, s)
	// The causes are tried one at a time, so that the profile gets no more than
	// the proof needs.
	if sameVolumes(before, c.Volumes) && !c.Exact {
		c.Exact = true
		c = Plan(c, s)
	}
	if sameVolumes(before, c.Volumes) {
		c.Evidence = mergeEvidence(c.Evidence, unexplained(c.Volumes, s))
		c = Plan(c, s)
	}
	return c, !sameVolumes(before, c.Volumes)
}

// unexplained returns failures for the mounts in place of directories that the
// program creates.
func unexplained(volumes []Volume, s Rootfs) []Failure {
	var out []Failure
	for _, v := range volumes {
		if !v.File && !s.isDir(v.MountPath) {
			out = append(out, Failure{
				Access: trace.Access{Op: trace.Mkdir, Path: v.MountPath, Errno: "EEXIST"},
				Reason: "the program makes it, and nothing else explains why the proof failed",
				Mild:   true,
			})
		}
	}
	return out
}
