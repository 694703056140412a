// Package web builds images of a small web server in several versions, some of
// them broken, for tests of rollouts.
package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/adamant-sh/adamant/test/appimage"
)

// The natures of a version.
const (
	Good       = ""
	Crashes    = "crashes"     // exits with an error, a moment after its start
	NeverReady = "never ready" // its page /ready answers 503
	Errors     = "errors"      // is ready, and answers 500
	Drifts     = "drifts"      // changes /etc/app.conf when it starts
)

// A Maker builds the server once, and images with it.
type Maker struct {
	dir  string // for its files
	once sync.Once
	err  error
}

// NewMaker returns a Maker that keeps its files in a directory of the caller.
func NewMaker(dir string) *Maker { return &Maker{dir: dir} }

func (m *Maker) program() string { return filepath.Join(m.dir, "web") }

func (m *Maker) build(ctx context.Context) error {
	m.once.Do(func() {
		cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", m.program(), "github.com/adamant-sh/adamant/test/web/server")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			m.err = fmt.Errorf("build the web server: %w\n%s", err, out)
		}
	})
	return m.err
}

// Pack writes an archive of an image adamant.test/NAME:1 whose server answers
// with version, and returns its path.
func (m *Maker) Pack(ctx context.Context, name, version, nature string) (string, error) {
	if err := m.build(ctx); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(m.dir, "image-")
	if err != nil {
		return "", err
	}
	root := filepath.Join(dir, "root")
	for _, path := range []string{"web", "bin/sh"} {
		if err := m.place(filepath.Join(root, path)); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		return "", err
	}
	for path, content := range map[string]string{
		"version": version, "nature": nature, "etc/app.conf": "of the image\n", "etc/passwd": "root:x:0:0::/:/web\n",
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	archive := filepath.Join(dir, "image.tar")
	return archive, appimage.Pack(archive, root, appimage.App{Name: name, Cmd: []string{"/web"}, Port: 8080})
}

// place writes the server to a path.
func (m *Maker) place(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Link(m.program(), path)
}
