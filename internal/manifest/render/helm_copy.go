package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// maxChartFiles bounds the files in the folder of a chart.
const maxChartFiles = 20_000

// schemaFile is left out of copies: a schema can refer to others, which helm would download.
const schemaFile = "values.schema.json"

// copy reads all files of the chart and writes them to the temporary folder. Helm follows
// links wherever they lead, so those that lead out of the folder are refused.
func (c *chart) copy(ctx context.Context) error {
	root, err := os.OpenRoot(c.root)
	if err != nil {
		return err
	}
	defer root.Close()
	size := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return manifest.FieldError{File: name, Detail: detailOf(err)}
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		content, err := readBelow(root, name)
		if err != nil {
			return manifest.FieldError{File: name, Detail: detailOf(err), Hint: "helm template " + c.dir + " | adamant check -"}
		}
		c.names = append(c.names, name)
		if size += len(content); size > maxRead || len(c.names) > maxChartFiles {
			return wrongf("", "the folder has more than %d MiB or %d files", maxRead>>20, maxChartFiles)
		}
		if keeps(name) {
			c.content[name] = content
		}
		return c.write(c.temp, name, content)
	})
	if err != nil {
		return err
	}
	for i, name := range c.options.Values {
		content, err := readRegular(name)
		if err != nil {
			return fmt.Errorf("values %s: %s", name, detailOf(err))
		}
		c.values = append(c.values, content)
		if err := os.WriteFile(c.valuesFile(i), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// folder returns the folder of the copy, which has the base name of the chart's.
func (c *chart) folder(temp string) string { return filepath.Join(temp, "chart") }

// valuesFile returns the copy of a file of values.
func (c *chart) valuesFile(i int) string {
	return filepath.Join(c.temp, fmt.Sprintf("values-%d.yaml", i))
}

func (c *chart) write(temp, name string, content []byte) error {
	if path.Base(name) == schemaFile {
		return nil
	}
	to := filepath.Join(c.folder(temp), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// keeps reports whether the text of a file is needed to find the places of findings.
func keeps(name string) bool {
	if slices.Contains([]string{".yaml", ".yml", ".tpl", ".json", ".txt"}, path.Ext(name)) {
		return true
	}
	return path.Base(path.Dir(name)) == "templates"
}

// readBelow reads a regular file in a folder, also through links within the folder.
func readBelow(root *os.Root, name string) ([]byte, error) {
	return readOpened(root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0))
}

// detailOf returns an error without the name of the file, which is beside it.
func detailOf(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}
