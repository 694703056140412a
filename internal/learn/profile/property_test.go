package profile

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

const propertyImage = `
f /etc/app/app.conf 10
f /etc/app.conf 10
d 0750 7:7 /var/lib/app
f /var/lib/app/seed 100
d /var/lib/app/in
d /var/lib/app/out
d 1777 /var/spool/app/q1
d 1777 /var/spool/app/q2
d 1777 /var/spool/app/q3
d 1777 /var/spool/app/q4
d 1777 /var/spool/app/q5
f /opt/app/bin/app 1000
d /opt/app/data
d /run/app
`

// randomTrace returns accesses that could have happened. It uses few
// directories and names, so that accesses collide.
func randomTrace(r *rand.Rand) trace.Trace {
	dirs := []string{
		"/", "/etc", "/etc/app", "/var", "/var/lib", "/var/lib/app", "/var/lib/app/in", "/var/lib/app/out", "/var/lib/new",
		"/var/lib/new/deep", "/var/spool/app/q1", "/var/spool/app/q2", "/var/spool/app/q3", "/var/spool/app/q4",
		"/opt/app/bin", "/opt/app/data", "/run", "/run/app", "/run/new", "/tmp", "/usr/bin", "/newroot", "/srv",
	}
	names := []string{"a", "b", "app.conf", "app", "seed", "new", "in", "*", "tmp.Xy7Qp2", "12"}
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	ops := trace.Ops()
	t := trace.Trace{Complete: true}
	for range 1 + r.IntN(12) {
		a := trace.Access{
			Op: ops[r.IntN(len(ops))], Path: path.Join(pick(dirs), pick(names)), Exe: "/bin/app",
			Count: 1 + r.IntN(3), Bytes: int64(r.IntN(1 << 22)),
		}
		if r.IntN(3) == 0 {
			a.UID = 7
		}
		if r.IntN(8) == 0 {
			a.Errno = "EACCES"
		}
		if a.Op == trace.Rename || a.Op == trace.Link {
			a.Peer = path.Join(pick(dirs), pick(names))
		}
		t.Accesses = append(t.Accesses, a)
		if a.Op == trace.Rename {
			a.Path, a.Peer = a.Peer, a.Path
			t.Accesses = append(t.Accesses, a)
		}
	}
	return t
}

func propertyScene(t *testing.T) Rootfs {
	return Rootfs{Tree: imageOf(t, debian, propertyImage), User: User{UID: 7, GID: 7}}
}

// onVolumes returns the volumes that satisfy a need by the rules of the kernel
// and not by those of the planner.
func onVolumes(n need, volumes []Volume) []string {
	var on []string
	for _, v := range volumes {
		ok := within(n.dir, v.MountPath) || // a name in it, or below
			n.path == v.MountPath && !n.inPlace && staysThere(n.write) || // the directory itself, which is there
			within(n.path, v.MountPath) && n.path != v.MountPath ||
			v.File && n.path == v.MountPath
		if ok {
			on = append(on, v.MountPath)
		}
	}
	return on
}

// staysThere reports whether a write creates a directory or changes its
// attributes, but does not remove or rename it.
func staysThere(w *Write) bool {
	for op := range w.Ops {
		if op != trace.Mkdir && !isAttribute(op) {
			return false
		}
	}
	return true
}

func TestProperties(t *testing.T) {
	rootfs := propertyScene(t)
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		in := Input{Traces: traces(randomTrace(r), randomTrace(r)), Rootfs: rootfs}
		c := Derive(in)
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("seed %d: %s\nwrites: %v\nvolumes: %v", seed, fmt.Sprintf(format, args...), c.Writes, shortAll(c.Volumes))
		}

		unsolved := map[string]bool{}
		for _, u := range c.Unsolved {
			unsolved[u.Path] = true
		}
		used := map[string]bool{}
		for i := range c.Writes {
			for _, n := range needsOf(&c.Writes[i], rootfs) {
				switch on := onVolumes(n, c.Volumes); {
				case len(on) == 1:
					used[on[0]] = true
				case len(on) > 1 || !unsolved[n.path]:
					fail("%s is on volumes %v, want exactly one", n.path, on)
				}
			}
		}
		for i, v := range c.Volumes {
			if !used[v.MountPath] {
				fail("volume %s is needed by nothing", v.MountPath)
			}
			if v.MountPath == "/" || isKernels(v.MountPath) {
				fail("a volume at %s", v.MountPath)
			}
			if rootfs.content(v.MountPath) > 0 && !v.CopyUp {
				fail("volume %s hides what the image has", v.MountPath)
			}
			for _, other := range c.Volumes[:i] {
				if within(v.MountPath, other.MountPath) || within(other.MountPath, v.MountPath) {
					fail("volumes %s and %s lie in one another", other.MountPath, v.MountPath)
				}
			}
		}
		for _, pair := range pairsOf(c.Writes, c.Evidence, rootfs) {
			a, b := volumeOf(pair.write.Path, c.Volumes), volumeOf(pair.peer, c.Volumes)
			dir := commonDir(orElse(a, path.Dir(pair.write.Path)), orElse(b, path.Dir(pair.peer)))
			if p := (&planner{rootfs: rootfs}); !pair.failed && p.protects(p.place(dir)) {
				continue
			}
			if (a != b || a == "") && !unsolved[pair.write.Path] && !unsolved[pair.peer] {
				fail("%s and %s are on %q and %q", pair.write.Path, pair.peer, a, b)
			}
		}

		shuffled := Input{Rootfs: rootfs, Traces: slices.Clone(in.Traces)}
		slices.Reverse(shuffled.Traces)
		for i := range shuffled.Traces {
			list := slices.Clone(shuffled.Traces[i].Accesses)
			r.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
			shuffled.Traces[i].Accesses = list
		}
		if diff := cmp.Diff(Derive(shuffled), c); diff != "" {
			fail("another order has another result:\n%s", diff)
		}
		if diff := cmp.Diff(Plan(c, rootfs), c); diff != "" {
			fail("planning again has another result:\n%s", diff)
		}
		p := Profile{APIVersion: document.APIVersion, Kind: document.Profile, Containers: []Container{c}}
		if err := p.validate(); err != nil {
			fail("%v", err)
		}
	}
}

func volumeOf(name string, volumes []Volume) string {
	for _, v := range volumes {
		if within(name, v.MountPath) {
			return v.MountPath
		}
	}
	return ""
}

// TestMergeAddsUp checks that two profiles merged and planned are the profile
// of both runs together.
func TestMergeAddsUp(t *testing.T) {
	rootfs := propertyScene(t)
	profileOf := func(runs int, all ...trace.Trace) Profile {
		c := Derive(Input{Name: "app", Traces: all, Rootfs: rootfs})
		return Profile{APIVersion: document.APIVersion, Kind: document.Profile, Name: "app", Runs: runs, Containers: []Container{c}}
	}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		one, two := randomTrace(r), randomTrace(r)
		both := profileOf(2, one, two)
		ab, err := Merge(profileOf(1, one), profileOf(1, two))
		if err != nil {
			t.Fatal(err)
		}
		ba, err := Merge(profileOf(1, two), profileOf(1, one))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ab.Containers[0].Writes, ba.Containers[0].Writes); diff != "" {
			t.Fatalf("seed %d: the order of merging matters:\n%s", seed, diff)
		}
		got := Plan(ab.Containers[0], rootfs)
		if diff := cmp.Diff(mountPaths(got.Volumes), mountPaths(both.Containers[0].Volumes)); diff != "" {
			t.Fatalf("seed %d: merged and planned is not what both runs give (-got +want):\n%s", seed, diff)
		}
	}
}

func mountPaths(volumes []Volume) []string {
	var out []string
	for _, v := range volumes {
		out = append(out, v.MountPath)
	}
	slices.SortFunc(out, tree.ComparePaths)
	return out
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
