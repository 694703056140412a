package render

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An OpenChart is a copy of a chart that is rendered several times, with other values.
type OpenChart struct {
	Documents []Document // as they are rendered without more values

	helm  *HelmProgram
	chart *chart
}

// Open copies the chart in a folder and renders it, as Helm does. The caller must call Close.
func (h *HelmProgram) Open(ctx context.Context, dir string, options ChartOptions) (*OpenChart, error) {
	c, err := newChart(dir, options)
	if err != nil {
		return nil, err
	}
	o := &OpenChart{helm: h, chart: c}
	err = c.copy(ctx)
	if err == nil && c.isLibrary() {
		err = wrongf("name the chart that uses it", "a library, which renders to nothing")
	}
	if err == nil {
		o.Documents, err = h.render(ctx, c)
	}
	if err == nil {
		err = c.writeUnmarked()
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if err != nil {
		err = c.wrong(err)
	}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Close removes the copy.
func (o *OpenChart) Close() error { return os.RemoveAll(o.chart.temp) }

// writeUnmarked writes the templates as they are to the copy.
func (c *chart) writeUnmarked() error {
	for name, content := range c.content {
		if isTemplate(name) {
			if err := c.write(c.temp, name, content); err != nil {
				return err
			}
		}
	}
	return nil
}

// Render renders the chart with more values, which count more than those of files, and
// returns the text of each document.
func (o *OpenChart) Render(ctx context.Context, values []byte) ([][]byte, error) {
	name := filepath.Join(o.chart.temp, "more-values.yaml")
	if err := os.WriteFile(name, values, 0o600); err != nil {
		return nil, err
	}
	out, err := o.helm.template(ctx, o.chart, "--values", name)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, p := range splitRendered(out) {
		texts = append(texts, p.data)
	}
	return texts, nil
}

// valuesTemplate is a template that prints the values of a chart.
const valuesTemplate = "templates/adamant-print-values.yaml"

// Values returns the values that the chart is rendered with, those of subcharts below their
// names. Helm merges them, so that they are right for each form of --set, too.
func (o *OpenChart) Values(ctx context.Context) (map[string]any, error) {
	c := o.chart
	if err := c.write(c.temp, valuesTemplate, []byte("values: {{ .Values | toJson | b64enc }}\n")); err != nil {
		return nil, err
	}
	out, err := o.helm.template(ctx, c, "--show-only", valuesTemplate)
	err = errors.Join(err, os.Remove(filepath.Join(c.folder(c.temp), filepath.FromSlash(valuesTemplate))))
	if err != nil {
		return nil, err
	}
	_, encoded, _ := strings.Cut(string(out), "values: ")
	content, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return nil, err
	}
	var values map[string]any
	err = json.Unmarshal(content, &values)
	return values, err
}

// A Reference is a path of values that a template prints, from the root of the values of the
// outermost chart; "*" stands for any key or item.
type Reference []string

// String returns the path as one name, in which parts with dots are quoted.
func (r Reference) String() string {
	var parts []string
	for _, key := range r {
		if strings.Contains(key, ".") {
			key = strconv.Quote(key)
		}
		parts = append(parts, key)
	}
	return strings.Join(parts, ".")
}

// References returns the values that the template of a document of a chart prints. There are
// none for a template in an archive.
func (d *Document) References() []Reference {
	o, ok := d.Origin.(*chartOrigin)
	if !ok || !o.known {
		return nil
	}
	o.chart.mu.Lock()
	defer o.chart.mu.Unlock()
	var names []string
	for _, s := range o.charts[1:] {
		names = append(names, s.name)
	}
	var all []Reference
	seen := map[string]bool{}
	for _, paths := range o.chart.analyse(o.file) {
		for _, p := range paths {
			if len(p) < 2 || p[0] != "Values" {
				continue
			}
			r := Reference(p[1:])
			if r[0] != "global" {
				r = append(names[:len(names):len(names)], r...)
			}
			if id := r.String(); !seen[id] {
				seen[id] = true
				all = append(all, r)
			}
		}
	}
	return all
}
