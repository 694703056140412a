package rootfs

import (
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// For random paths with random symbolic links, the tree, the root and the kernel resolve
// to the same file.
func TestResolveAgreesWithKernel(t *testing.T) {
	agreed := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(5, seed))
		dir := t.TempDir()
		for range 12 {
			at := path.Join(dir, randomLinkPath(rng))
			switch rng.IntN(4) {
			case 0:
				_ = os.MkdirAll(at, 0o755) // where a link is in the way, it is
			case 1:
				_ = os.WriteFile(at, nil, 0o644)
			default:
				_ = os.Symlink([]string{"", "/", "../", "../../../"}[rng.IntN(4)]+randomLinkPath(rng)[1:], at)
			}
		}
		r := root(t, dir)
		tree, _ := walk(t, r, WalkOptions{})
		for range 30 {
			p := randomLinkPath(rng) + randomLinkPath(rng)
			inTree, exists, treeErr := tree.Resolve(p)
			inRoot, rootExists, rootErr := r.Resolve(p)
			if inTree != inRoot || exists != rootExists || (treeErr == nil) != (rootErr == nil) {
				t.Fatalf("seed %d: %s: tree %q %v %v, root %q %v %v", seed, p, inTree, exists, treeErr, inRoot, rootExists, rootErr)
			}
			fd, err := r.open(p, unix.O_PATH, followLinks)
			if err != nil {
				if exists {
					t.Fatalf("seed %d: %s: %q, kernel: %v", seed, p, inTree, err)
				}
				continue
			}
			want, err := statFD(fd)
			unix.Close(fd)
			must(t, err)
			_, got, err := r.lstat(inTree, refuseLinks)
			if err != nil || !exists || got.inode() != want.inode() {
				t.Fatalf("seed %d: %s: %q is another file than the kernel's: %v", seed, p, inTree, err)
			}
			agreed++
		}
	}
	if agreed < 100 {
		t.Errorf("only %d paths led anywhere", agreed)
	}
}

func randomLinkPath(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(3) {
		b.WriteString("/" + []string{"a", "b", "c", "..", "."}[r.IntN(5)])
	}
	return b.String()
}
