package profile

import (
	"path"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// attributes are the operations that change an entry and not its directory.
var attributes = map[trace.Op]bool{trace.Chmod: true, trace.Chown: true, trace.Utime: true, trace.Xattr: true}

func isAttribute(op trace.Op) bool { return attributes[op] }

// ownership are the attributes that only an entry's owner may change.
// Times are not among them: a user who may write may set them to now.
func ownership(op trace.Op) bool { return op == trace.Chmod || op == trace.Chown }

// A need is a requirement of one write: that names in dir can change or, if
// inPlace, that the existing file at path can.
type need struct {
	write   *Write
	path    string
	dir     string // the directory that has to be on a volume
	inPlace bool
}

// needsOf returns the requirements of a write. They decide whether a directory
// or only a file is mounted:
//
//   - a new, removed, renamed or linked name changes its directory;
//   - a change of content or attributes changes a file of the image where it
//     is, but a file that the program made needs the directory it was made in;
//   - a change of a directory's own attributes needs that directory;
//   - the question whether a file or directory may be written needs that one.
func needsOf(w *Write, s Rootfs) []need {
	var names, self, inPlace bool
	onDir, onFile := s.isDir(w.Path), s.has(w.Path) && !s.isDir(w.Path)
	for op := range w.Ops {
		changesEntry := isAttribute(op) || op == trace.Write || op == trace.Truncate || op == trace.Check
		switch {
		case op == trace.Tmpfile, (isAttribute(op) || op == trace.Check) && onDir:
			self = true
		case op == trace.Check && !onFile:
			// The program asked about something that it made, which is a write
			// of its own.
		case changesEntry && onFile:
			inPlace = true
		default:
			names = true
		}
	}
	var needs []need
	if names {
		needs = append(needs, need{write: w, path: w.Path, dir: path.Dir(w.Path)})
	} else if inPlace {
		needs = append(needs, need{write: w, path: w.Path, dir: path.Dir(w.Path), inPlace: true})
	}
	if self {
		needs = append(needs, need{write: w, path: w.Path, dir: w.Path})
	}
	return needs
}

// A pair is a rename or hard link: rename(2) and link(2) fail with EXDEV unless
// both paths are on one volume.
type pair struct {
	write  *Write
	peer   string
	failed bool // in a proof
}

// pairsOf returns the pairs of writes. Those of evidence failed in a proof.
func pairsOf(writes []Write, evidence []Failure, s Rootfs) []pair {
	l := writeSet{rootfs: s}
	failed := map[string]bool{}
	for _, f := range evidence {
		if f.Errno == "EXDEV" {
			failed[l.label(f.Path)] = true
		}
	}
	var out []pair
	for i := range writes {
		for _, peer := range writes[i].Peers {
			out = append(out, pair{&writes[i], peer, failed[writes[i].Path]})
		}
	}
	return out
}
