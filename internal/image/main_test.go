package image

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/containerd/log"
)

// Files that tests leave open fail them.
func TestMain(m *testing.M) {
	if err := log.SetLevel("error"); err != nil { // containerd warns of what the tests do on purpose
		panic(err)
	}
	before := openFiles()
	code := m.Run()
	if after := openFiles(); code == 0 && len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "left open: %s\n", strings.Join(after, ", "))
		code = 1
	}
	os.Exit(code)
}

func openFiles() []string {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	var files []string
	for _, fd := range fds {
		// The runtime's own and sockets come and go.
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, "/") {
			files = append(files, target)
		}
	}
	return files
}
