package reach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// sysctlDir holds the settings of the kernel as files.
const sysctlDir = "/proc/sys/"

// sysctlStates are prefixes of files that report a state, or that do something when
// they are written.
var sysctlStates = []string{
	"kernel/random/", "kernel/ns_last_pid", "kernel/pty/nr", "kernel/tainted", "kernel/sched_domain", "fs/dentry-state", "fs/file-nr",
	"fs/inode-", "fs/aio-nr", "fs/quota/", "fs/binfmt_misc/", "net/netfilter/nf_conntrack_count", "net/ipv4/route/flush",
	"net/ipv6/route/flush", "net/ipv4/tcp_fastopen_key", "vm/stat_refresh", "vm/drop_caches", "vm/compact_memory",
	"kernel/perf_event_max_sample_rate", "kernel/usermodehelper", "kernel/seccomp", "sunrpc/",
}

// maxSysctl bounds the value of a setting, in bytes.
const maxSysctl = 64 << 10

// readSysctls returns the settings of the kernel that can be written, by their file
// below /proc/sys. They include the names of the host and of its domain.
func readSysctls() map[string]string {
	values := map[string]string{}
	// A file that cannot be read is no setting that can be restored.
	_ = filepath.WalkDir(sysctlDir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		name := strings.TrimPrefix(file, sysctlDir)
		for _, state := range sysctlStates {
			if strings.HasPrefix(name, state) {
				return nil
			}
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o200 == 0 {
			return nil
		}
		if text, err := os.ReadFile(file); err == nil && len(text) <= maxSysctl {
			values[name] = strings.TrimRight(string(text), "\n")
		}
		return nil
	})
	return values
}

// restoreSysctls writes the settings that differ. Some change others, such as
// ip_forward and all settings of interfaces, so that a second round follows.
func restoreSysctls(before map[string]string) error {
	var errs []error
	for range 2 {
		errs = nil
		now := readSysctls()
		for _, name := range keys(before, now) {
			want, had := before[name]
			if value, has := now[name]; !had || !has || value == want {
				continue // it came or went with a module or a link
			}
			if err := writeSysctl(name, want); err != nil {
				errs = append(errs, fmt.Errorf("restore the kernel's setting %s: %w", strings.ReplaceAll(name, "/", "."), err))
			}
		}
	}
	return errors.Join(errs...)
}

// writeSysctl writes a setting. In a container, only the system calls can set the names of
// the host.
func writeSysctl(name, value string) error {
	err := os.WriteFile(sysctlDir+name, []byte(value+"\n"), 0)
	switch {
	case err == nil:
		return nil
	case name == "kernel/hostname":
		return unix.Sethostname([]byte(value))
	case name == "kernel/domainname":
		return unix.Setdomainname([]byte(value))
	}
	return err
}

func sysctlDifference(before, now map[string]string) (left []string) {
	for _, name := range keys(before, now) {
		want, had := before[name]
		if value, has := now[name]; had && has && value != want {
			left = append(left, "sysctl "+strings.ReplaceAll(name, "/", "."))
		}
	}
	return left
}
