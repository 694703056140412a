package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that help lists has a man page, and SOURCE_DATE_EPOCH is its date.
func TestManPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	dir := filepath.Join(t.TempDir(), "man1")
	root := newRootCommand(&app{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	root.SetArgs([]string{"man", dir})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	walk(newRootCommand(&app{}), func(c *cobra.Command) {
		hidden := c.Hidden || c.HasParent() && c.Parent().Hidden
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if hidden {
			return
		}
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(page), `"Jan 1970"`) {
			t.Errorf("%s: the page is not of the date that was set", c.CommandPath())
		}
	})
}
