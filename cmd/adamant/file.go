package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/adamant-sh/adamant/internal/durable"
)

// writeFile makes a file appear whole or not at all.
func writeFile(name string, data []byte) error { return writeFileMode(name, data, 0o644) }

func writeFileMode(name string, data []byte, mode os.FileMode) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real // a link stays a link
	}
	return durable.WriteFile(name, data, mode)
}

// printable takes out what could steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return '\uFFFD'
	}, s)
}
