package learn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The pod of a learner that was killed may be traced still, while another
// command removes it: what that writes meanwhile is removed with the rest.
func TestRemoveTracedThatIsWrittenTo(t *testing.T) {
	for range 20 {
		dir := filepath.Join(t.TempDir(), "trial")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		written := make(chan error)
		begun := make(chan struct{})
		go func() {
			for i := range 5000 {
				if i == 100 {
					close(begun)
				}
				f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
				if err != nil {
					written <- err
					return
				}
				f.Close()
			}
			written <- nil
		}()
		<-begun
		if err := removeTraced(t.Context(), dir); err != nil {
			t.Error(err)
		}
		if err := <-written; err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is left: %v", err)
		}
	}
}
