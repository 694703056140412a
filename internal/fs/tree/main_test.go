package tree

import (
	"os"
	"testing"

	"github.com/adamant-sh/adamant/test/descriptor"
)

// Files that tests leave open fail them.
func TestMain(m *testing.M) { os.Exit(descriptor.Run(m)) }
