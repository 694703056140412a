package learn

import (
	"context"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	maxVolumeEntries = 10_000 // of a volume that are looked at
	maxVolumeBytes   = 16 << 20
	maxKept          = 1_000 // paths that are remembered
	maxNamed         = 3     // paths that a reason names
)

// kept returns the paths in the emptyDirs of a container that were there before
// its latest attempt started, so that an earlier one left them. A volume that
// cannot be read, or has too many entries, adds nothing: the paths only explain a
// failure.
func kept(ctx context.Context, p *pod.Pod, container string) []string {
	c, err := p.Container(container)
	if err != nil || container == "" {
		return nil
	}
	spec, _ := containerOf(p.Spec().Spec, container)
	var out []string
	for _, m := range spec.VolumeMounts {
		if !isEmptyDir(p.Spec().Spec, m.Name) {
			continue
		}
		for _, e := range entriesOf(ctx, p, m) {
			if e.ModTime.Before(c.Started) && len(out) < maxKept {
				out = append(out, path.Join(m.MountPath, strings.TrimPrefix(e.Path, path.Join("/", m.SubPath))))
			}
		}
	}
	return out
}

func isEmptyDir(spec corev1.PodSpec, volume string) bool {
	return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume && v.EmptyDir != nil })
}

// entriesOf returns the entries below a mount of a volume.
func entriesOf(ctx context.Context, p *pod.Pod, m corev1.VolumeMount) []tree.Entry {
	root, err := p.OpenVolume(m.Name)
	if err != nil {
		return nil
	}
	defer root.Close()
	top := path.Join("/", m.SubPath)
	t, _, err := root.Walk(ctx, rootfs.WalkOptions{Path: top, OneFileSystem: true, MaxEntries: maxVolumeEntries, MaxBytes: maxVolumeBytes})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Collect(t.All()), func(e tree.Entry) bool { return e.Path == top })
}

// suspects returns the kept paths that most likely keep a program from starting
// again: first those that its log names, then process numbers, locks and sockets,
// then others. Entries of the image are none, because a new root has them too.
func suspects(kept []string, root profile.Rootfs, log string) []string {
	rank := func(name string) int {
		switch base := path.Base(name); {
		case strings.Contains(log, name), len(base) > 3 && strings.Contains(log, base):
			return 0
		case slices.ContainsFunc([]string{".pid", ".lock", ".lck", ".sock", ".socket"}, func(suffix string) bool { return strings.HasSuffix(base, suffix) }),
			base == "pid", base == "lock", base == "LOCK":
			return 1
		}
		return 2
	}
	var out []string
	for _, name := range kept {
		if _, has := root.Tree.Lookup(name); !has && name != "/.adamant-copy-up" {
			out = append(out, name)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return rank(a) - rank(b) })
	return out[:min(len(out), maxNamed)]
}
