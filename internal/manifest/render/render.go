// Package render renders Kustomize overlays with Kustomize's library and charts with the
// helm in PATH, and finds where in their sources a rendered value comes from.
//
// It connects to nothing, starts no program but helm, and writes only copies of charts, to a
// temporary folder.
package render

import (
	"regexp"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// A Result is what a folder was rendered to, and from what.
type Result struct {
	Documents []Document
	Read      []string // absolute paths, without links, of all files that were read; also if rendering failed
}

// A Document is one rendered document.
type Document struct {
	File   string // the source of the object
	Data   []byte
	Origin manifest.Origin
}

// maxRead is how many bytes may be read to render a folder.
const maxRead = 256 << 20

// A source is a file, or a text in a file, of which a part was rendered.
type source struct {
	documents []manifest.Document
	lines     []string // of the file
}

// newSource reads a text that begins at a line of a file.
func newSource(file string, content []byte, line int, text []byte) *source {
	s := &source{lines: strings.Split(string(content), "\n")}
	splitter := manifest.NewSplitter(strings.NewReader(string(text)))
	for {
		chunk, err := splitter.Next()
		if err != nil {
			return s
		}
		s.documents = append(s.documents, manifest.ReadDocuments(file, line+chunk.Line-1, chunk.Data)...)
	}
}

// place returns the place of a value. Text in a block of a file has other columns than its
// lines in the file.
func (s *source) place(d *manifest.Document, v manifest.Value) manifest.Place {
	p := d.PlaceOf(v)
	if p.Line < 1 || p.Line > len(s.lines) {
		return p
	}
	line := strings.TrimRight(s.lines[p.Line-1], "\r")
	excerpt := strings.Trim(p.Excerpt, "…")
	if shift := strings.Index(line, excerpt); shift > 0 && !strings.HasPrefix(p.Excerpt, "…") {
		p.Column += shift
		p.Before += shift
		p.Excerpt = line[:shift] + p.Excerpt
	}
	return p
}

// isBlock matches a line that ends with the header of a block of text.
var isBlock = regexp.MustCompile(`[|>][-+0-9]*[ \t\r]*(#.*)?$`)
