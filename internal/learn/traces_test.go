package learn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
)

// TestRemoveTracedThatIsWrittenTo checks that a work directory is removed
// although a tracer still writes to it: the pod of a killed learner may still
// be traced while another command removes it.
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

// TestCommandsLeaveOneTrace checks that the traces of commands are folded into
// one during the trial: a probe every few seconds must not fill the disk, or
// leave a tracer each time.
func TestCommandsLeaveOneTrace(t *testing.T) {
	t.Parallel()
	lab, e := openHostile(t)
	o := hostileOptions(t, e)
	for range 10 {
		o.Load.Commands = append(o.Load.Commands, "/hostile write /var/lib/app/x once")
	}
	ctx, stop := context.WithCancel(t.Context())
	most := make(chan int)
	go func() {
		n := 0
		for clock.Sleep(ctx, 10*time.Millisecond) == nil {
			files, _ := filepath.Glob(filepath.Join(e.Root(), learnRoot, "trial-*", traceFiles, "exercise-*.json"))
			n = max(n, len(files))
		}
		most <- n
	}()
	l, err := Learn(t.Context(), o, parseWorkload(t, hostilePod("wait", "")))
	stop()
	if err != nil || !l.Proof.Passed {
		t.Errorf("not learned: %v, %q", err, l.Proof.Reasons)
	}
	if n := <-most; n == 0 || n > 4 {
		t.Errorf("there were %d traces of commands at once, want one and those that end just then", n)
	}
	lab.checkNothing(t, e)
}
