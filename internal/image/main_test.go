package image

import (
	"os"
	"testing"

	"github.com/containerd/log"

	"github.com/adamant-sh/adamant/test/descriptor"
)

// Files that tests leave open fail them.
func TestMain(m *testing.M) {
	if err := log.SetLevel("error"); err != nil { // containerd warns of what the tests do on purpose
		panic(err)
	}
	os.Exit(descriptor.Run(m))
}
