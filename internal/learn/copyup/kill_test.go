package copyup

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// TestKilled kills the program at random moments, repeatedly on the same
// volume. A file must never have its name without its content, owner and mode,
// and in the end all must be as in the image.
func TestKilled(t *testing.T) {
	image := newImage(t)
	for i := range 100 {
		writeFile(t, fmt.Sprintf("%s/data/many/%d/file", image, i), strings.Repeat("x", 100+i*150), 0o640)
	}
	want := walk(t, image+"/data")
	r := rand.New(rand.NewPCG(1, 1))
	whole := runKilled(t, job{Options: Options{From: image, To: newVolumes(t, "/data"), Targets: targets(t, "/data")}}, -1)
	killed := 0
	for round := 0; killed < 15; round++ {
		if round == 100 {
			t.Fatalf("killed only %d times: the test tests nothing", killed)
		}
		to := newVolumes(t, "/data")
		j := job{Options: Options{From: image, To: to, Targets: targets(t, "/data"), Strict: true}}
		for range 6 {
			if took := runKilled(t, j, time.Duration(r.Int64N(int64(whole)))); took > 0 {
				whole = took // the first one was slower than those that are warm
				break
			}
			killed++
			for name, e := range walk(t, to+"/data") {
				w, ok := want[name]
				if e.Kind == tree.Directory || strings.HasPrefix(name, "/"+staging) || ok && e.Same(w) {
					continue
				}
				t.Fatalf("round %d: after a kill %s is %+v, want %+v", round, name, e, w)
			}
		}
		runKilled(t, j, -1)
		sameTree(t, to+"/data", image+"/data")
	}
}

// runKilled runs a job and kills it the given time after it began to copy, or
// never if the time is negative. It returns how long copying took, or 0 if the
// job was killed.
func runKilled(t *testing.T, j job, after time.Duration) time.Duration {
	t.Helper()
	j.Announce = true
	cmd := command(t, j)
	out, err := cmd.StdoutPipe()
	must(t, err, cmd.Start())
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatalf("it does not begin: %v", errors.Join(err, cmd.Wait()))
	}
	begun := time.Now()
	if after >= 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err = cmd.Wait()
	switch {
	case err == nil:
		return time.Since(begun)
	case cmd.ProcessState.ExitCode() != -1 || after < 0:
		t.Fatal(err)
	}
	return 0
}

// TestFullDisk fills a small file system, frees space, and runs the job again.
func TestFullDisk(t *testing.T) {
	image, to := t.TempDir(), newVolumes(t, "/data")
	writeFile(t, image+"/data/a", strings.Repeat("a", 600<<10), 0o644)
	writeFile(t, image+"/data/b", strings.Repeat("b", 600<<10), 0o644)
	must(t, unix.Mount("none", to+"/data", "tmpfs", 0, "size=1m,mode=0777"))
	t.Cleanup(func() { must(t, unix.Unmount(to+"/data", 0)) })
	opts := Options{From: image, To: to, Targets: targets(t, "/data")}
	if err := Run(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Fatalf("error is %v, want that there is no space", err)
	}
	if exists(to + "/data/b") {
		t.Error("a file that was not copied has its name")
	}
	must(t, unix.Mount("none", to+"/data", "", unix.MS_REMOUNT, "size=2m"))
	run(t, opts)
	sameTree(t, to+"/data", image+"/data")
}
