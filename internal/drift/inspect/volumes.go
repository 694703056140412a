package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/mounts"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// maxPrograms is the number of programs in volumes that are listed for a container.
const maxPrograms = 1000

// Programs lists the programs, libraries and scripts in the writable volumes of a running
// container, by its first process and the overlay that is its root. One that the image has
// at the same path, with the same content, is omitted: it was copied into the volume. Such
// programs are no drift, because volumes exist to be written. A volume is walked like an
// upper directory, so that memory is bounded.
func Programs(ctx context.Context, pid int, m overlay.Mount) (drift.Report, error) {
	var r drift.Report
	table, err := mounts.Of(pid)
	if err != nil {
		return r, fmt.Errorf("list volumes: %w", err)
	}
	root, err := rootfs.Open(procFile(pid, "root"))
	if err != nil {
		return r, fmt.Errorf("list volumes: %w", err)
	}
	defer root.Close()
	for _, point := range volumePoints(table) {
		one, err := programsIn(ctx, root, point, m)
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return r, ctx.Err()
		}
		if err != nil {
			one.Unknowns = append(one.Unknowns, tree.Unknown{Path: point, Err: fmt.Errorf("list its programs: %w", err)})
		}
		r = r.Merge(one)
	}
	if n := len(r.Programs); n > maxPrograms {
		r.Programs, r.OmittedPrograms = r.Programs[:maxPrograms], r.OmittedPrograms+n-maxPrograms
	}
	return r, nil
}

// volumePoints returns the mount points at which a container may write files.
func volumePoints(table []mounts.Mount) []string {
	var points []string
	for _, m := range table {
		switch m.Type {
		case "proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "devtmpfs":
			continue
		}
		if m.Point != "/" && m.Point != "/dev" && !isReadOnly(m) {
			points = append(points, path.Clean(m.Point))
		}
	}
	slices.SortFunc(points, tree.ComparePaths)
	return slices.Compact(points)
}

// programsIn lists the programs of one volume.
func programsIn(ctx context.Context, root *rootfs.Root, point string, m overlay.Mount) (drift.Report, error) {
	volume, err := root.OpenDir(point)
	if errors.Is(err, unix.ENOTDIR) {
		return drift.Report{}, nil // a single file, such as /etc/hosts
	}
	if err != nil {
		return drift.Report{}, err
	}
	defer volume.Close()
	compared := overlay.Mount{Upper: descriptor(volume), NoMarks: true}
	for _, layer := range m.Lower {
		if m.Namespace != 0 {
			break // of another namespace: everything counts as new
		}
		dir, err := imageDir(layer, point)
		if err != nil {
			continue // the layer has no such directory
		}
		defer dir.Close()
		compared.Lower = append(compared.Lower, descriptor(dir))
	}
	o, err := overlay.Open(compared)
	if err != nil {
		return drift.Report{}, err
	}
	defer o.Close()
	v := visitor{ctx: ctx, Comparison: drift.NewComparison(-1)}
	_, err = o.Walk(ctx, overlay.Options{}, &v)
	if errors.Is(err, context.DeadlineExceeded) {
		v.Unknown("/", ErrDeadline)
	} else if err != nil {
		return drift.Report{}, err
	}
	return programsOf(v.Report(), point), nil
}

func descriptor(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// imageDir opens the directory of a layer at a path of the container.
func imageDir(layer, at string) (*os.File, error) {
	root, err := rootfs.Open(layer)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenDir(at)
}

// programsOf returns the programs of a report on a volume, with paths of the container.
func programsOf(r drift.Report, point string) drift.Report {
	var out drift.Report
	for _, ch := range r.Changes {
		isProgram := ch.Class == drift.Executable || ch.Class == drift.Library || ch.Class == drift.Script
		if !isProgram || ch.Got == nil || ch.Got.Kind != tree.Regular {
			continue
		}
		ch.Path = path.Join(point, ch.Path)
		ch.Got.Path = ch.Path
		if ch.Want != nil {
			ch.Want.Path = ch.Path
		}
		out.Programs = append(out.Programs, ch)
	}
	for _, u := range r.Unknowns {
		if errors.Is(u.Err, unix.EXDEV) {
			continue // another mount, which is listed itself
		}
		out.Unknowns = append(out.Unknowns, tree.Unknown{Path: path.Join(point, u.Path), Err: u.Err})
	}
	out.OmittedUnknowns = r.OmittedUnknowns
	// Programs are more severe than data: those that are omitted may be programs.
	out.OmittedPrograms = r.Omitted[drift.Critical] + r.Omitted[drift.High] + r.Omitted[drift.Medium]
	return out
}
