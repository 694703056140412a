package copyup

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKilled kills the program at random moments until a run gets through. At
// no moment does a file have its name without its content, owner and mode; in
// the end all is as in the image.
func TestKilled(t *testing.T) {
	image := newImage(t)
	for i := range 100 {
		writeFile(t, fmt.Sprintf("%s/data/many/%d/file", image, i), strings.Repeat("x", 100+i*150), 0o640)
	}
	want := walk(t, image+"/data")
	r := rand.New(rand.NewPCG(1, 1))
	killed := 0
	for round := range 5 {
		to := newVolumes(t, "/data")
		j := job{Options: Options{From: image, To: to, Targets: targets(t, "/data"), Strict: true}}
		for attempt := range 1000 {
			if attempt == 999 {
				t.Fatal("never gets through")
			}
			cmd := command(t, j)
			must(t, cmd.Start())
			timer := time.AfterFunc(time.Duration(r.IntN(20+attempt*5))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			if err == nil {
				break
			}
			if cmd.ProcessState.ExitCode() != -1 {
				t.Fatalf("round %d: %v", round, err)
			}
			killed++
			for name, e := range walk(t, to+"/data") {
				w, ok := want[name]
				if e.Kind == 2 || strings.HasPrefix(name, "/"+staging) || ok && e.Same(w) {
					continue
				}
				t.Fatalf("round %d: after a kill %s is %+v, want %+v", round, name, e, w)
			}
		}
		sameTree(t, to+"/data", image+"/data")
		must(t, os.RemoveAll(to))
	}
	t.Logf("killed %d times", killed)
	if killed < 10 {
		t.Errorf("killed only %d times: the test tests nothing", killed)
	}
}

// TestFullDisk fills a small file system, makes room, and goes on.
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
