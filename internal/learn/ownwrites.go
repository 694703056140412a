package learn

import (
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// isExercise reports whether a trace is of the commands of the load.
func isExercise(t trace.Trace) bool { return t.Root == "exercise" }

// ownTraces returns the traces of a container without those of the load.
func ownTraces(all []trace.Trace, container string) []trace.Trace {
	return slices.DeleteFunc(tracesOf(all, container), isExercise)
}

// withoutExercise returns the entries that a run left on a container's root, except
// those that only commands of the load wrote.
func withoutExercise(left []profile.Leftover, traces []trace.Trace) []profile.Leftover {
	load, own := writtenNames{}, writtenNames{}
	for _, t := range traces {
		if isExercise(t) {
			load.add(t)
		} else {
			own.add(t)
		}
	}
	return slices.DeleteFunc(slices.Clone(left), func(l profile.Leftover) bool { return load.explains(l) && !own.explains(l) })
}

// writtenNames are the paths that traces wrote on the root, as they are in traces:
// "dir/*" stands for many names. The directories in which they are have the value
// false, unless they were written themselves.
type writtenNames map[string]bool

func (w writtenNames) add(t trace.Trace) {
	for _, a := range t.Accesses {
		if a.Errno == "" && a.Mount == "" {
			w[a.Path] = true
			w[path.Dir(a.Path)] = w[path.Dir(a.Path)]
		}
	}
}

// explains reports whether an entry may be left because of the writes.
func (w writtenNames) explains(l profile.Leftover) bool {
	if _, wroteIn := w[l.Path]; l.Touched && wroteIn {
		return true
	}
	return w[l.Path] || w[path.Join(path.Dir(l.Path), "*")]
}

// ownFault returns the reason why a command of the load failed, if it is a path
// that only the command wants to write.
func (t trial) ownFault(o Outcome) string {
	if o.piece.command == "" {
		return ""
	}
	for _, tr := range t.Traces {
		for _, a := range tr.Accesses {
			if isExercise(tr) && a.Errno == "EROFS" && a.Mount == "" {
				return "; the command itself could not write " + a.Path + ", for which the workload needs no volume: let it write to /dev/shm"
			}
		}
	}
	return ""
}
