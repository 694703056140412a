package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/render"
)

// A Count is how much Each has read.
type Count struct {
	Files     int
	Documents int
	Charts    int    // that helm has rendered
	Helm      string // version of it: "v3.22.0"
}

// An Input is what Each reads.
type Input struct {
	Paths  []string
	Stdin  io.Reader
	Charts ChartOptions
}

// ChartOptions configures how charts are rendered.
type ChartOptions = render.ChartOptions

// Each reads the documents of all paths, leniently: files, folders with all folders
// below them, or "-" for stdin. It calls work for each document, on all processors, and
// yield with the results in the order of the documents. Files of any size are read
// document by document.
//
// What cannot be read is a document that is not understood, and so is a file on the
// command line or stdin if there is no document in it, because the program that should
// have written it may have failed. A folder may have such files beside others.
//
// The error is that of a path that does not exist, of ctx, or of yield. A read of stdin
// that blocks is left behind when Each returns early.
func Each[T any](ctx context.Context, in Input, work func(*manifest.Document) T, yield func(*manifest.Document, T) error) (Count, error) {
	p := newPipeline(in.Stdin, work)
	p.charts = in.Charts
	return p.each(ctx, in.Paths, yield)
}

// EachAsWritten is Each without rendering: the documents of overlays are those of their
// files. A patch of an overlay in a folder is marked as one.
func EachAsWritten[T any](ctx context.Context, paths []string, stdin io.Reader, work func(*manifest.Document) T, yield func(*manifest.Document, T) error) (Count, error) {
	p := newPipeline(stdin, work)
	p.asWritten = true
	return p.each(ctx, paths, yield)
}

// each reads all paths.
func (p *pipeline[T]) each(ctx context.Context, paths []string, yield func(*manifest.Document, T) error) (Count, error) {
	if err := checkPaths(paths); err != nil {
		return Count{}, err
	}
	for _, path := range paths {
		p.named[filepath.Clean(path)] = true
	}
	p.folders = paths // files without a document are reported when they are read
	return p.run(ctx, func() error { return p.read(paths) }, yield)
}

// EachObject is Each for objects that are in no file. list calls read with each of them: a
// name, and its YAML or why it could not be read.
func EachObject[T any](ctx context.Context, list func(ctx context.Context, read func(name string, data []byte, err error) error) error, work func(*manifest.Document) T, yield func(*manifest.Document, T) error) (Count, error) {
	p := newPipeline(nil, work)
	return p.run(ctx, func() error {
		return list(p.ctx, func(name string, data []byte, err error) error {
			if err != nil {
				return p.refuse(name, err)
			}
			return p.split(name, bytes.NewReader(data), nil)
		})
	}, yield)
}

func newPipeline[T any](stdin io.Reader, work func(*manifest.Document) T) *pipeline[T] {
	return &pipeline[T]{stdin: stdin, work: work, room: newRoom(maxParsing), seen: map[string]bool{}, named: map[string]bool{}, inputs: map[string]bool{}, patches: map[string]string{}}
}

// run calls read, which submits jobs, and yields the results in their order.
func (p *pipeline[T]) run(ctx context.Context, read func() error, yield func(*manifest.Document, T) error) (Count, error) {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()

	p.ctx = ctx
	workers := runtime.GOMAXPROCS(0)
	p.ordered, p.jobs = make(chan *job[T], 16*workers), make(chan *job[T], 16*workers)
	for range workers {
		background.Go(p.worker)
	}
	background.Go(func() {
		p.err = read()
		close(p.jobs)
		close(p.ordered)
	})
	count := Count{}
	for j := range p.ordered {
		var results []result[T]
		select {
		case results = <-j.done:
		case <-ctx.Done():
			return count, ctx.Err()
		}
		if j.input != nil {
			j.input.documents += len(results)
			if j.last && j.input.documents == 0 {
				results = p.do(&job[T]{file: j.file, wrong: errNoDocument})
			}
		}
		if err := p.emit(&count, results, yield); err != nil {
			return count, err
		}
		p.room.leave(j.size())
	}
	count.Files, count.Charts, count.Helm = p.files, p.rendered, p.helm.Version()
	if p.err == nil {
		p.err = ctx.Err()
	}
	if p.err == nil && count.Documents == 0 {
		for _, folder := range p.folders {
			if err := p.emit(&count, p.do(&job[T]{file: folder, wrong: errNoDocument}), yield); err != nil {
				return count, err
			}
		}
	}
	return count, p.err
}

// StdinName is the name of standard input as a file of documents.
const StdinName = "standard input"

var errNoDocument = errors.New("no document in it: it is empty or has only comments")

// emit counts documents and yields them.
func (p *pipeline[T]) emit(count *Count, results []result[T], yield func(*manifest.Document, T) error) error {
	for i := range results {
		count.Documents++
		if err := yield(&results[i].document, results[i].value); err != nil {
			return err
		}
	}
	return nil
}

// maxParsing is how many bytes are being parsed or waiting for their turn at a time, or
// one document that has more.
const maxParsing = 4 << 20

type pipeline[T any] struct {
	ctx    context.Context
	stdin  io.Reader
	charts render.ChartOptions
	work   func(*manifest.Document) T
	room   *room

	asWritten bool              // overlays are not rendered
	patches   map[string]string // absolute paths of patches, with their kustomization

	jobs    chan *job[T] // to the workers
	ordered chan *job[T] // the same ones, in the order of the documents

	folders []string        // that must have a document together
	named   map[string]bool // names of files on the command line
	inputs  map[string]bool // absolute paths of files that were rendered
	seen    map[string]bool // names of files that were read
	helm    render.HelmProgram

	// Of read, which ends before ordered is closed.
	files    int
	rendered int // charts
	err      error
}

// An input is a file that must have a document, or stdin.
type input struct{ documents int } // that Each has seen of it

// A job is a part of a file.
type job[T any] struct {
	file  string
	input *input // nil if the file may be empty
	last  bool   // nothing, behind the last part of the file
	chunk manifest.Chunk
	wrong error // it could not be read

	patchOf string // as that of a document

	rendered   *render.Document // instead of chunk
	renderedBy string
	done       chan []result[T]
}

type result[T any] struct {
	document manifest.Document
	value    T
}

func (j *job[T]) size() int {
	if j.rendered != nil {
		return len(j.rendered.Data)
	}
	return len(j.chunk.Data)
}

func (p *pipeline[T]) worker() {
	for j := range p.jobs {
		j.done <- p.do(j)
	}
}

func (p *pipeline[T]) do(j *job[T]) []result[T] {
	if p.ctx.Err() != nil {
		return nil
	}
	var documents []manifest.Document
	switch {
	case j.last:
	case j.rendered != nil:
		documents = readRendered(j.rendered, j.renderedBy)
	case j.wrong != nil:
		var field manifest.FieldError
		if errors.As(j.wrong, &field) {
			documents = notUnderstood(field.File, field.Line, field.Detail, field.Hint)
			break
		}
		var pathError *fs.PathError
		detail := j.wrong.Error()
		if errors.As(j.wrong, &pathError) {
			detail = pathError.Err.Error() // the name of the file is already there
		}
		documents = notUnderstood(j.file, 0, detail, "")
	case j.chunk.TooLarge:
		documents = notUnderstood(j.file, j.chunk.Line, fmt.Sprintf("a document that is larger than %d MiB", manifest.MaxFileSize>>20),
			"write its objects as documents of their own, separated by lines of ---")
	default:
		documents = manifest.ReadDocuments(j.file, j.chunk.Line, j.chunk.Data)
		for i := range documents {
			d := &documents[i]
			d.Offset, d.Exact, d.PatchOf = j.chunk.Offset, j.chunk.Exact, j.patchOf
		}
	}
	results := make([]result[T], len(documents))
	for i := range documents {
		results[i].document = documents[i]
		results[i].value = p.work(&results[i].document)
	}
	return results
}

func notUnderstood(file string, line int, detail, hint string) []manifest.Document {
	return []manifest.Document{{File: file, Line: line, NotUnderstood: manifest.Errors{{File: file, Line: line, Detail: detail, Hint: hint}}}}
}

// submit hands over a part of a file.
func (p *pipeline[T]) submit(j *job[T]) error {
	j.done = make(chan []result[T], 1)
	if err := p.room.enter(p.ctx, j.size()); err != nil {
		return err
	}
	for _, to := range []chan *job[T]{p.ordered, p.jobs} {
		select {
		case to <- j:
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	return nil
}

// read reads all paths. What cannot be read is a document that is not understood, so that
// the rest is read all the same.
func (p *pipeline[T]) read(paths []string) error {
	for _, path := range paths {
		if path == "-" {
			p.files++
			if err := p.splitStdin(); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			err = p.refuse(path, err)
		case info.IsDir():
			err = p.folder(path)
		case render.IsKustomization(filepath.Base(path)) && !p.asWritten:
			err = p.renderAll([]string{filepath.Dir(filepath.Clean(path))})
		case filepath.Base(path) == render.ChartFile && !p.asWritten:
			err = p.chart(filepath.Dir(filepath.Clean(path)))
		default:
			err = p.open(filepath.Clean(path))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkPaths returns an error for a path that does not exist, before anything is read.
func checkPaths(paths []string) error {
	for _, path := range paths {
		if path == "-" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("read manifests: %w", err)
		}
	}
	return nil
}

// refuse submits a file that cannot be read.
func (p *pipeline[T]) refuse(name string, err error) error {
	return p.submit(&job[T]{file: name, wrong: err})
}

// folder reads the manifests in a folder and in those below it.
func (p *pipeline[T]) folder(root string) error {
	found, err := p.render(root)
	if err != nil {
		return err
	}
	// A link on the command line is followed.
	err = filepath.WalkDir(strings.TrimSuffix(root, "/")+"/", func(name string, d fs.DirEntry, err error) error {
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		name = filepath.Clean(name)
		if err != nil {
			found = true
			return p.skip(name, err)
		}
		found = found || isManifestName(name) && !d.IsDir()
		if p.isInput(name) {
			return nil // of what was rendered, which has counted it
		}
		mode := d.Type()
		if mode&fs.ModeSymlink != 0 {
			info, err := os.Stat(name)
			switch {
			case err != nil && isManifestName(name):
				return p.skip(name, err)
			case err != nil:
				return nil
			case info.IsDir():
				// It could lead in a circle.
				return p.skip(name, errors.New("a link to a folder, which is not followed: name it on the command line"))
			}
			mode = info.Mode().Type()
		}
		switch {
		case mode.IsDir() && (d.Name() == ".git" || isCapturedData(name)):
			return fs.SkipDir
		case mode.IsDir() || !isManifestName(name) || isPlan(name):
			return nil
		case !mode.IsRegular():
			return p.skip(name, errors.New("not a regular file"))
		}
		return p.open(name)
	})
	if err != nil {
		return err
	}
	if !found {
		return p.refuse(root, errors.New("no manifest in it: no file ends in .yaml, .yml or .json"))
	}
	return nil
}

// skip counts a file that cannot be read.
func (p *pipeline[T]) skip(name string, err error) error {
	if !p.count(name) {
		return nil
	}
	return p.refuse(name, err)
}

// count counts a file. It returns false if the file was counted before.
func (p *pipeline[T]) count(name string) bool {
	if p.seen[name] {
		return false
	}
	p.seen[name] = true
	p.files++
	return true
}

func (p *pipeline[T]) open(name string) error {
	if !p.count(name) {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return p.refuse(name, err)
	}
	defer f.Close()
	var in *input
	if p.named[name] {
		in = &input{}
	}
	return p.split(name, f, in)
}

// splitStdin reads stdin in a goroutine of its own, which ends after the read that it is
// in: of a terminal, that would end only with the next line.
func (p *pipeline[T]) splitStdin() error {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, p.stdin)
		w.CloseWithError(err)
	}()
	defer context.AfterFunc(p.ctx, func() { r.CloseWithError(p.ctx.Err()) })()
	defer r.Close()
	return p.split(StdinName, r, &input{})
}

// split submits the parts of a file. If in is not nil, the file must have a document.
func (p *pipeline[T]) split(name string, r io.Reader, in *input) error {
	s := manifest.NewSplitter(r)
	patchOf := ""
	if len(p.patches) > 0 && in == nil {
		patchOf = p.patches[absolute(name)]
	}
	for {
		chunk, err := s.Next()
		switch {
		case p.ctx.Err() != nil:
			return p.ctx.Err()
		case errors.Is(err, io.EOF) && in == nil:
			return nil
		case errors.Is(err, io.EOF):
			return p.submit(&job[T]{file: name, input: in, last: true})
		case err != nil:
			return p.refuse(name, err)
		}
		if err := p.submit(&job[T]{file: name, input: in, chunk: chunk, patchOf: patchOf}); err != nil {
			return err
		}
	}
}

// A room holds a number of bytes at a time.
type room struct {
	free  chan struct{} // signals that some left
	mu    sync.Mutex
	limit int
	used  int
}

func newRoom(limit int) *room { return &room{free: make(chan struct{}, 1), limit: limit} }

// enter waits until there is room for n bytes. More than the limit fit into an empty
// room.
func (r *room) enter(ctx context.Context, n int) error {
	for {
		r.mu.Lock()
		if r.used == 0 || r.used+n <= r.limit {
			r.used += n
			r.mu.Unlock()
			return nil
		}
		r.mu.Unlock()
		select {
		case <-r.free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *room) leave(n int) {
	r.mu.Lock()
	r.used -= n
	r.mu.Unlock()
	select {
	case r.free <- struct{}{}:
	default:
	}
}
