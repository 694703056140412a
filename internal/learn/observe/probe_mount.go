package observe

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// withOverlay mounts an overlay in a mount namespace of the calling thread,
// calls f with its upper and merged directories, and removes everything.
func withOverlay(f func(upper, merged string) error) error {
	// A thread shares its working directory and root with the other threads,
	// and cannot change its mount namespace before it has its own.
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	dir, err := os.MkdirTemp("", "adamant-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := unix.Mount("none", dir, "tmpfs", 0, "mode=700"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	merged := filepath.Join(dir, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	defer unix.Unmount(merged, unix.MNT_DETACH)
	return f(filepath.Join(dir, "upper"), merged)
}

func probeOverlay() (string, error) {
	err := withOverlay(func(upper, merged string) error {
		if err := os.WriteFile(filepath.Join(merged, "f"), nil, 0o600); err != nil {
			return err
		}
		_, err := os.Stat(filepath.Join(upper, "f"))
		return err
	})
	return "mounted, and its upper directory holds what is written", err
}

// probeFanotify marks a directory of an overlay and the corresponding upper
// directory for events with names.
func probeFanotify() (string, error) {
	const class = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_REPORT_DFID_NAME
	fd, err := unix.FanotifyInit(class|unix.FAN_REPORT_PIDFD, unix.O_RDONLY)
	detail := "with pidfd"
	if err != nil {
		if fd, err = unix.FanotifyInit(class, unix.O_RDONLY); err != nil {
			return "", fmt.Errorf("fanotify_init with FAN_REPORT_DFID_NAME (kernel 5.9): %w", err)
		}
		detail = "without pidfd"
	}
	defer unix.Close(fd)
	err = withOverlay(func(upper, merged string) error {
		const events = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_MODIFY | unix.FAN_ONDIR | unix.FAN_EVENT_ON_CHILD
		if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, events, unix.AT_FDCWD, upper); err != nil {
			return fmt.Errorf("mark an upper directory: %w", err)
		}
		if unix.FanotifyMark(fd, unix.FAN_MARK_ADD, events, unix.AT_FDCWD, merged) != nil {
			detail += ", on the upper directory but not on the overlay (kernel 6.6)"
		}
		return nil
	})
	return "marks on directories " + detail, err
}
