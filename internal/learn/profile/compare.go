package profile

import (
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// Compare returns the calls in a container's read-only runs that failed and
// should not have. A proof must have none. The writable and the read-only runs
// must have had the same load.
//
// Calls are identified by operation, program and path, without the process
// numbers and temporary names in it. A failed call counts
//
//   - if it succeeded when the root was writable, and never failed there with
//     the same error;
//   - with EROFS, also if it was never seen before, because a program that is
//     stopped early takes other paths. It does not count, however, if it could
//     not have succeeded anyway. The modes and entries of the image decide that,
//     because the kernel returns EROFS before it checks permissions or whether
//     the entry to be removed exists.
//
// A call with EROFS counts as well if the program gave up after it: it made the
// file when the root was writable, and did not try to now. Mosquitto, for example,
// first removes a file that may not be there.
//
// A call that failed on the writable root and never succeeded there is no
// failure, with any error. Neither is a call that is repeated and then
// succeeds, except with an error that only the volumes can cause (EROFS, EXDEV,
// ENOSPC…).
//
// Mild failures are EEXIST of mkdir, as the directory exists; a rename
// between two volumes after which the program copied the file, as mv does;
// calls that a program is known not to need; and the question whether programs
// or configuration may be written. They fail no proof, but Widen uses them.
func Compare(writable, readonly []trace.Trace, s Rootfs) []Failure {
	s = s.canonical()
	before, now := newHistory(writable), newHistory(readonly)
	var out []Failure
	for _, t := range readonly {
		for _, a := range t.Accesses {
			if a.Errno == "" || transient[a.Errno] || isKernels(a.Path) || s.onReadOnlyMount(a.Path) {
				continue
			}
			reason := judge(a, before, now, s)
			if reason == "" {
				continue
			}
			if field := RuntimeFile(a.Path); field != "" {
				reason += ": " + field
			}
			f := Failure{Access: a, Reason: reason}
			f.Mild = isDispensable(a.Path) || a.Op == trace.Mkdir && a.Errno == "EEXIST" || copiedInstead(a, before, now) ||
				a.Op == trace.Check && isIdleCheck(a.Path, s)
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b Failure) int { return tree.ComparePaths(a.Path, b.Path) })
	return mergeEvidence(nil, out)
}

// judge returns why a failed access counts, or "".
func judge(a trace.Access, before, now history, s Rootfs) string {
	was := before.of(a)
	switch {
	case was.errors[a.Errno]:
		return ""
	// A program may repeat a call until it succeeds. That is a failure only if
	// a volume caused the error.
	case was.succeeded && (volumeErrors[a.Errno] || !now.of(a).succeeded):
		return "succeeded when the root file system was writable"
	case a.Errno == "EROFS" && givenUp(a, before, now):
		return "after it, the program did not make the file again, as it did when the root file system was writable"
	case was.succeeded || len(was.errors) > 0:
		return ""
	case a.Errno == "EROFS" && couldSucceed(a, s):
		return "was never seen when the root file system was writable, and the image's permissions allow it"
	case volumeErrors[a.Errno] && a.Errno != "EROFS":
		return "can only come from the volumes"
	}
	return ""
}

// copiedInstead reports whether a program that could not rename or link created
// one of the two files itself, which it had not done before.
func copiedInstead(a trace.Access, before, now history) bool {
	if a.Errno != "EXDEV" {
		return false
	}
	return slices.ContainsFunc([]string{a.Path, a.Peer}, func(end string) bool {
		made := trace.Access{Op: trace.Create, Path: end, Exe: a.Exe}
		return now.of(made).succeeded && !before.of(made).succeeded
	})
}

// makes are the operations that give a path its file.
var makes = []trace.Op{trace.Create, trace.Mkdir, trace.Mknod, trace.Link, trace.Symlink, trace.Rename, trace.Bind}

// givenUp reports whether a program made the file at the path of a failed access
// before, and did not even try to now.
func givenUp(a trace.Access, before, now history) bool {
	return slices.ContainsFunc(makes, func(op trace.Op) bool {
		made := trace.Access{Op: op, Path: a.Path, Exe: a.Exe}
		tried := now.of(made)
		return before.of(made).succeeded && !tried.succeeded && len(tried.errors) == 0
	})
}

// transient are errors after which a program repeats the call.
var transient = map[string]bool{"EINTR": true, "EAGAIN": true, "ERESTARTSYS": true, "ERESTARTNOINTR": true}

// volumeErrors come from the boundaries and limits of volumes.
var volumeErrors = map[string]bool{"EROFS": true, "EXDEV": true, "EBUSY": true, "ENOSPC": true, "EDQUOT": true}
