package profile

import (
	"github.com/adamant-sh/adamant/internal/observe"
)

// A Failure is a call that failed in a read-only run and should not have.
type Failure struct {
	observe.Access
	Reason string `json:"reason"`         // why it counts
	Mild   bool   `json:"mild,omitempty"` // the program may well live with it: no failed proof on its own
}

// needsDisk are the errors by which a file system in memory says that it
// cannot do what another could.
var needsDisk = map[string]bool{"ENODEV": true, "EOPNOTSUPP": true, "EINVAL": true, "ENOSPC": true, "EDQUOT": true}

// withEvidence adds to the writes what a proof showed to be needed.
func withEvidence(writes []Write, evidence []Failure, s Scene) []Write {
	l := newLedger(s)
	for _, f := range evidence {
		if f.Errno == "EROFS" || f.Errno == "EXDEV" || f.Errno == "EBUSY" {
			a := f.Access
			a.Errno, a.Mount = "", ""
			l.trace(a)
		}
	}
	more, _, _ := l.balance()
	return mergeWrites(writes, more)
}

// blockedBy returns the paths that a program would not accept as mount points:
// they were to be made (EEXIST), removed or renamed (EBUSY).
func blockedBy(evidence []Failure) map[string]bool {
	blocked := map[string]bool{}
	for _, f := range evidence {
		if f.Errno == "EEXIST" && f.Op == observe.Mkdir || f.Errno == "EBUSY" {
			blocked[f.Path] = true
		}
	}
	return blocked
}

// shortages counts the proofs in which a volume was too small.
func shortages(m mount, evidence []Failure) int {
	n := 0
	for _, f := range evidence {
		if within(f.Path, m.path) && (f.Errno == "ENOSPC" || f.Errno == "EDQUOT") {
			n++
		}
	}
	return n
}

// Widen plans a container's volumes anew after a proof that failed, by what
// failed in it, and reports whether anything is different from before; if not,
// another proof would fail as this one did. A proof that failed though no call
// did, or because access was denied, asks for the directories' exact modes.
func Widen(c Container, s Scene, failures []Failure) (Container, bool) {
	before := c
	c.Evidence = mergeEvidence(c.Evidence, failures)
	if len(failures) == 0 {
		c.Exact = true
	}
	for _, f := range failures {
		c.Exact = c.Exact || f.Errno == "EACCES" || f.Errno == "EPERM"
	}
	c = Plan(c, s)
	return c, !sameVolumes(before.Volumes, c.Volumes)
}
