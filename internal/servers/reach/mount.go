package reach

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// ignoredMounts are directories whose mounts come and go with containers, logins and
// services.
var ignoredMounts = []string{
	"/proc", "/sys", "/run/user", "/run/credentials", "/run/docker", "/run/netns", "/run/containerd", "/run/k3s", "/run/snapd", "/run/media",
	"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/lxd", "/snap", "/media",
}

func readMounts() ([]mounts.Mount, error) {
	all, err := mounts.Self()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(m mounts.Mount) bool {
		return m.Type == "autofs" || m.Type == "nsfs" || slices.ContainsFunc(ignoredMounts, func(dir string) bool {
			return strings.HasPrefix(m.Point, dir+"/")
		})
	}), nil
}

// same reports whether a mount is the recorded one, whatever its options are.
func same(a, b mounts.Mount) bool {
	return a.Point == b.Point && a.Device == b.Device && a.Root == b.Root
}

// restoreMounts removes additional mounts, restores the options of others, and mounts
// again what is missing.
func restoreMounts(before []mounts.Mount) error {
	if before == nil {
		return nil
	}
	now, err := readMounts()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range slices.Backward(now) {
		if _, had := findMount(m, before); !had {
			if err := unix.Unmount(m.Point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				errs = append(errs, fmt.Errorf("unmount %s: %w", m.Point, err))
			}
		}
	}
	for _, b := range before {
		m, has := findMount(b, now)
		switch {
		case !has:
			errs = append(errs, mountAgain(b))
		case m.Options != b.Options || isReadOnly(m.SuperOptions) != isReadOnly(b.SuperOptions):
			errs = append(errs, remount(b, m))
		}
	}
	return errors.Join(errs...)
}

func findMount(m mounts.Mount, in []mounts.Mount) (mounts.Mount, bool) {
	i := slices.IndexFunc(in, func(o mounts.Mount) bool { return same(m, o) })
	if i < 0 {
		return mounts.Mount{}, false
	}
	return in[i], true
}

func isReadOnly(options string) bool { return slices.Contains(strings.Split(options, ","), "ro") }

// mountFlags are the flags of mount(2) by their names in options.
var mountFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "noatime": unix.MS_NOATIME,
	"nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME, "nosymfollow": unix.MS_NOSYMFOLLOW,
}

func flagsOf(options string) (flags uintptr) {
	for option := range strings.SplitSeq(options, ",") {
		flags |= mountFlags[option]
	}
	return flags
}

// remount restores the options of a mount, and whether its file system can be written.
func remount(before, now mounts.Mount) error {
	if isReadOnly(now.SuperOptions) != isReadOnly(before.SuperOptions) {
		if err := unix.Mount("", before.Point, "", unix.MS_REMOUNT|flagsOf(before.Options), ""); err != nil {
			return fmt.Errorf("remount %s: %w", before.Point, err)
		}
	}
	if err := unix.Mount("", before.Point, "", unix.MS_REMOUNT|unix.MS_BIND|flagsOf(before.Options), ""); err != nil {
		return fmt.Errorf("remount %s: %w", before.Point, err)
	}
	return nil
}

// mountAgain mounts a file system that was unmounted. A bind mount has no source that
// is known here.
func mountAgain(m mounts.Mount) error {
	if m.Root != "/" {
		return fmt.Errorf("the mount of %s is gone", m.Point)
	}
	data := slices.DeleteFunc(strings.Split(m.SuperOptions, ","), func(o string) bool { return o == "rw" || o == "ro" })
	if err := unix.Mount(m.Source, m.Point, m.Type, flagsOf(m.Options), mounts.Unescape(strings.Join(data, ","))); err != nil {
		return fmt.Errorf("mount %s: %w", m.Point, err)
	}
	return nil
}

func mountDifference(before, now []mounts.Mount) (left []string) {
	if before == nil || now == nil {
		return nil
	}
	for _, b := range before {
		m, has := findMount(b, now)
		if !has && !slices.ContainsFunc(now, func(o mounts.Mount) bool { return o.Point == b.Point && o.Type == b.Type && o.Source == b.Source }) {
			left = append(left, "mount "+b.Point+": missing")
		} else if has && (m.Options != b.Options || isReadOnly(m.SuperOptions) != isReadOnly(b.SuperOptions)) {
			left = append(left, "mount "+b.Point+": options")
		}
	}
	for _, m := range now {
		if _, had := findMount(m, before); !had && !slices.ContainsFunc(before, func(o mounts.Mount) bool { return o.Point == m.Point && o.Type == m.Type }) {
			left = append(left, "mount "+m.Point+": added")
		}
	}
	return left
}
