// Package descriptor finds files that tests leave open.
package descriptor

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Run runs the tests of a package and fails if they leave files open. It
// returns the exit code.
func Run(m *testing.M) int {
	before := files()
	code := m.Run()
	if after := files(); code == 0 && len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "%d files were left open: %s\n", len(after)-len(before), strings.Join(after, ", "))
		return 1
	}
	return code
}

// files returns the open files of this process, without sockets and the files
// of the Go runtime (epoll, eventfd), which change all the time.
func files() []string {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	var list []string
	for _, fd := range open {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, "/") {
			list = append(list, target)
		}
	}
	slices.Sort(list)
	return list
}
