package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// Programs in a volume are listed unless they are the image's own, and no attribute hides
// them.
func TestProgramsInVolume(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), mode), os.Chmod(name, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("layer/data/bin/tool", "\x7fELF of the image", 0o755)
	write("layer/data/bin/edited", "\x7fELF of the image", 0o755)
	write("layer/data/bin/hidden", "\x7fELF of the image", 0o755)
	write("root/data/bin/tool", "\x7fELF of the image", 0o755)   // copied up
	write("root/data/bin/edited", "\x7fELF OF THE IMAGE", 0o755) // of the same size
	write("root/data/bin/hidden", "\x7fELF OF THE IMAGE", 0o755)
	write("root/data/evil", "\x7fELF", 0o644)
	write("root/data/hook", "#!/bin/sh\n", 0o644)
	write("root/data/run", "anything", 0o755)
	write("root/data/rows.db", "data", 0o644)
	write("root/tmp/x.sh", "", 0o644)
	marked := filepath.Join(dir, "root/data/bin/hidden")
	if err := unix.Lsetxattr(marked, "trusted.overlay.metacopy", nil, 0); err != nil {
		t.Fatal(err)
	}
	root, err := rootfs.Open(dir + "/root")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for point, want := range map[string][]string{
		"/data": {"/data/bin/edited", "/data/bin/hidden", "/data/evil", "/data/hook", "/data/run"},
		"/tmp":  {"/tmp/x.sh"}, // not in the image
	} {
		r, err := programsIn(t.Context(), root, point, overlay.Mount{Lower: []string{dir + "/layer"}})
		if err != nil || len(r.Unknowns) > 0 {
			t.Fatal(err, r.Unknowns)
		}
		var got []string
		for _, ch := range r.Programs {
			got = append(got, ch.Path)
		}
		if diff := cmp.Diff(got, want); diff != "" || !r.Clean() {
			t.Errorf("%s: -got +want\n%s", point, diff)
		}
	}
}

func TestVolumePoints(t *testing.T) {
	table := parseTable(t, `
1 0 0:1 / / rw - overlay overlay rw
2 1 0:2 / /proc rw - proc proc rw
3 1 0:3 / /dev rw - tmpfs tmpfs rw
4 3 0:4 / /dev/shm rw - tmpfs shm rw
5 3 0:5 / /dev/pts rw - devpts devpts rw
6 1 254:0 /v /data rw - ext4 /dev/vda rw
7 1 254:0 /c /config ro - ext4 /dev/vda rw
8 1 0:6 / /tmp rw - tmpfs none rw`)
	if diff := cmp.Diff(volumePoints(table), []string{"/data", "/dev/shm", "/tmp"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}
