package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/render"
)

// ValuesFile is the name of the file of values that seals a chart, in the folder of the chart.
const ValuesFile = render.ValuesFile

// IsChart reports whether a folder has a chart of Helm.
func IsChart(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, render.ChartFile))
	return err == nil
}

// A Reference is a path of values that a template prints; see render.Reference.
type Reference = render.Reference

// A Chart is a chart of Helm that is rendered several times, with other values. It is not for
// use by several goroutines.
type Chart struct {
	Rendered   []Rendered
	References [][]Reference // by index in Rendered, that its template prints

	open *render.OpenChart
}

// OpenChart renders the chart in a folder. The caller must call Close.
func OpenChart(ctx context.Context, dir string, options ChartOptions) (*Chart, error) {
	open, err := new(render.HelmProgram).Open(ctx, dir, options)
	if err != nil {
		return nil, err
	}
	c := &Chart{open: open}
	for i := range open.Documents {
		if err := c.add(&open.Documents[i], dir); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// add adds the output of a template: one document, or all documents of a file of crds.
func (c *Chart) add(r *render.Document, dir string) error {
	chunks, err := split(r.Data)
	if err != nil {
		return fmt.Errorf("read what %s is rendered to: %w", r.File, err)
	}
	references := r.References()
	for _, chunk := range chunks {
		d := readChunk(r, chunk, dir)
		c.Rendered = append(c.Rendered, Rendered{Document: d, Data: chunk.Data})
		c.References = append(c.References, references)
	}
	return nil
}

// readChunk returns the only document of a chunk.
func readChunk(r *render.Document, chunk manifest.Chunk, dir string) manifest.Document {
	documents := readLines(r, chunk.Line, chunk.Data, dir)
	switch len(documents) {
	case 0: // comments
		return manifest.Document{File: r.File}
	case 1:
		documents[0].Offset, documents[0].Exact = 0, true
		return documents[0]
	}
	detail := "documents that cannot be told apart, in what was rendered"
	return manifest.Document{File: r.File, NotUnderstood: manifest.Errors{{File: r.File, Detail: detail}}}
}

// split returns the chunks of a rendered text.
func split(data []byte) ([]manifest.Chunk, error) {
	var chunks []manifest.Chunk
	splitter := manifest.NewSplitter(bytes.NewReader(data))
	for {
		chunk, err := splitter.Next()
		switch {
		case errors.Is(err, io.EOF):
			return chunks, nil
		case err != nil:
			return nil, err
		case chunk.TooLarge:
			return nil, fmt.Errorf("a document that is larger than %d MiB", manifest.MaxFileSize>>20)
		}
		chunks = append(chunks, chunk)
	}
}

// Render renders the chart with more values, which count more than those of files. The texts
// are those of Rendered if the chart renders to the same objects.
func (c *Chart) Render(ctx context.Context, values []byte) ([][]byte, error) {
	parts, err := c.open.Render(ctx, values)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, part := range parts {
		chunks, err := split(part)
		if err != nil {
			return nil, err
		}
		for _, chunk := range chunks {
			texts = append(texts, chunk.Data)
		}
	}
	return texts, nil
}

// Values returns the values that the chart is rendered with, those of subcharts below their
// names.
func (c *Chart) Values(ctx context.Context) (map[string]any, error) { return c.open.Values(ctx) }

// Close removes the copy of the chart.
func (c *Chart) Close() error { return c.open.Close() }
