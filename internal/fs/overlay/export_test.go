package overlay

import (
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// Chunk is how much of a file Equal compares at once, in bytes.
const Chunk = chunk

// ReadWorkDir reads the working directory from a bundle.
var ReadWorkDir = readWorkDir

// FindDir returns the overlay that is mounted at a directory in this mount namespace.
func FindDir(dir string) (Mount, error) {
	table, err := mounts.Self()
	if err != nil {
		return Mount{}, err
	}
	for _, p := range slices.Backward(table) { // the last one is on top
		if p.Point == dir {
			m, err := newMount(p)
			if err != nil {
				return Mount{}, err
			}
			return m, m.resolve([]string{dir})
		}
	}
	return Mount{}, ErrNoOverlay
}
