package profile

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// Merge merges two profiles of one workload: the result has the writes and the
// volumes of both, and the outer volume if one is inside another. It needs no
// image and keeps the volumes as they are. Plan chooses them again, which is
// better if the image is available. The runs of both are added up; the verdict is
// that of a. Profiles of different images cannot be merged.
func Merge(a, b Profile) (Profile, error) {
	out := a
	out.Runs += b.Runs
	out.Duration = addDurations(a, b)
	out.Load = appendNew(a.Load, b.Load)
	out.Containers = slices.Clone(a.Containers)
	for _, c := range b.Containers {
		i := slices.IndexFunc(out.Containers, func(have Container) bool { return have.Name == c.Name })
		if i < 0 {
			out.Containers = append(out.Containers, c)
			continue
		}
		have := out.Containers[i]
		if have.Digest != "" && c.Digest != "" && have.Digest != c.Digest {
			return Profile{}, fmt.Errorf("merge profiles of %s: container %s is of image %s in one and of %s in the other: learn it anew",
				a.Name, c.Name, have.Digest, c.Digest)
		}
		out.Containers[i] = mergeContainers(have, c)
	}
	return out.sorted(), nil
}

func mergeContainers(a, b Container) Container {
	out := a
	out.Digest = cmp.Or(a.Digest, b.Digest)
	if a.Method != b.Method {
		out.Method = max(a.Method, b.Method) // the weaker: "upperdir" sorts after "ptrace"
	}
	out.Mounts = mergeMounted(a.Mounts, b.Mounts)
	out.Weak = union(a.Weak, b.Weak)
	out.Writes = mergeWrites(a.Writes, b.Writes)
	out.Refused = without(mergeWrites(a.Refused, b.Refused), out.Writes)
	out.Spared = mergeWrites(a.Spared, b.Spared)
	out.Unsolved = mergeWrites(a.Unsolved, b.Unsolved)
	out.Evidence = mergeEvidence(a.Evidence, b.Evidence)
	out.Exact = a.Exact || b.Exact
	out.User, out.CopyTools = cmp.Or(a.User, b.User), cmp.Or(a.CopyTools, b.CopyTools)
	out.Volumes = mergeVolumes(a.Volumes, b.Volumes)
	return out
}

// without returns the refused writes that did not succeed in another run.
func without(refused, writes []Write) []Write {
	written := map[string]Write{}
	for _, w := range writes {
		written[w.Path] = w
	}
	return slices.DeleteFunc(refused, func(r Write) bool {
		for op := range r.Ops {
			if written[r.Path].Ops[op] == 0 {
				return false
			}
		}
		return true
	})
}

// mergeVolumes returns the volumes of both that are not inside another.
func mergeVolumes(a, b []Volume) []Volume {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(a, b Volume) int { return tree.ComparePaths(a.MountPath, b.MountPath) })
	var out []Volume
	for _, v := range all {
		if last := len(out) - 1; last >= 0 && within(v.MountPath, out[last].MountPath) {
			out[last] = joinVolumes(out[last], v)
			continue
		}
		out = append(out, v)
	}
	return out
}

// joinVolumes returns the outer volume with the requirements of the inner one.
func joinVolumes(outer, inner Volume) Volume {
	if outer.MountPath == inner.MountPath {
		outer.SubPath = cmp.Or(outer.SubPath, inner.SubPath)
		if outer.Mode == 0 {
			outer.Mode, outer.UID, outer.GID = inner.Mode, inner.UID, inner.GID
		}
		outer.CopyUp = outer.CopyUp || inner.CopyUp
		outer.KeepOwners = outer.KeepOwners || inner.KeepOwners
		outer.Need = hardest(outer.Need, inner.Need)
		outer.Used = max(outer.Used, inner.Used)
	} else {
		outer.Used += inner.Used
	}
	outer.Durable = cmp.Or(outer.Durable, inner.Durable)
	outer.Exposes = cmp.Or(outer.Exposes, inner.Exposes)
	outer.Files = union(outer.Files, inner.Files)
	if inner.Medium == "" {
		outer.Medium = ""
	}
	outer.SizeLimit = larger(outer.SizeLimit, inner.SizeLimit)
	for _, w := range inner.Why {
		if len(outer.Why) < maxWhy && !slices.Contains(outer.Why, w) {
			outer.Why = append(slices.Clip(outer.Why), w)
		}
	}
	return outer
}

func hardest(a, b Need) Need {
	for _, need := range []Need{Hard, Soft, Silent} {
		if a == need || b == need {
			return need
		}
	}
	return ""
}

// larger returns the larger of two quantities. An empty one is unlimited.
func larger(a, b string) string {
	x, errA := resource.ParseQuantity(a)
	y, errB := resource.ParseQuantity(b)
	switch {
	case errA != nil || errB != nil:
		return ""
	case x.Cmp(y) < 0:
		return b
	}
	return a
}

// mergeWrites returns all writes of both lists, by path, with the sum of their
// calls and the maximum of their bytes.
func mergeWrites(a, b []Write) []Write {
	byPath := map[string]Write{}
	for _, w := range slices.Concat(a, b) {
		have, ok := byPath[w.Path]
		if !ok {
			have = Write{Path: w.Path, Ops: map[trace.Op]int{}}
			have.UIDs = w.UIDs
		} else if (len(have.UIDs) == 0) != (len(w.UIDs) == 0) {
			have.UIDs = union(have.UIDs, []uint32{0}) // no list means root alone
		}
		for op, n := range w.Ops {
			have.Ops[op] += n
		}
		have.By = union(have.By, w.By)
		have.Seen += w.Seen
		have.UIDs = union(have.UIDs, w.UIDs)
		have.Errors = union(have.Errors, w.Errors)
		have.Peers = union(have.Peers, w.Peers)
		have.Bytes = max(have.Bytes, w.Bytes)
		have.Reason = cmp.Or(have.Reason, w.Reason)
		have.Made = strictest(have.Made, w.Made)
		byPath[w.Path] = have
	}
	var out []Write
	for _, name := range slices.SortedFunc(maps.Keys(byPath), tree.ComparePaths) {
		out = append(out, byPath[name])
	}
	return out
}

// strictest returns the owner with fewer permissions, so that the order of runs
// does not matter.
func strictest(a, b *Owner) *Owner {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	if cmp.Or(cmp.Compare(a.Mode, b.Mode), cmp.Compare(b.UID, a.UID), cmp.Compare(b.GID, a.GID)) <= 0 {
		return a
	}
	return b
}

// mergeEvidence appends the failures of b that a does not have.
func mergeEvidence(a, b []Failure) []Failure {
	out := slices.Clone(a)
	for _, f := range b {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// appendNew appends the lines of b that a does not have, and does not modify a.
func appendNew(a, b []string) []string {
	out := slices.Clip(a)
	for _, line := range b {
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

func sameVolumes(a, b []Volume) bool {
	return slices.EqualFunc(a, b, func(x, y Volume) bool {
		x.Why, y.Why, x.Need, y.Need = nil, nil, "", ""
		x.Used, y.Used, x.Durable, y.Durable = 0, 0, "", ""
		x.Exposes, y.Exposes, x.Files, y.Files = "", "", nil, nil
		return reflect.DeepEqual(x, y)
	})
}
