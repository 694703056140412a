package main

import (
	"os"
	"path/filepath"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// writeFile makes a file appear whole or not at all.
func writeFile(name string, data []byte) error { return writeFileMode(name, data, 0o644) }

func writeFileMode(name string, data []byte, mode os.FileMode) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real // a link stays a link
	}
	return durable.WriteFile(name, data, mode)
}
