package sshd

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leftovers lists the remains of a lab that has ended. It waits, because the
// kernel removes a network a little after its last process has ended.
func (l *Lab) leftovers() []string {
	var left []string
	for range 100 {
		if left = slices.Concat(l.processes(), l.mounts(), l.links(), l.removeCgroups()); len(left) == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// stillThere is the end of a namespace that has not ended.
const stillThere = math.MaxUint64

// processes lists the processes in the lab's namespaces. It ignores processes
// that started after the namespace had ended, because the kernel reuses the
// number of a namespace, perhaps for another test's pod.
func (l *Lab) processes() []string {
	var left []string
	found, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, process := range found {
		began, err := startOf(process)
		if err != nil {
			continue
		}
		for _, kind := range []string{"net", "pid", "mnt"} {
			if id, err := os.Readlink(filepath.Join(process, "ns", kind)); err == nil && began <= l.ended[id] {
				command, _ := os.ReadFile(filepath.Join(process, "comm"))
				left = append(left, fmt.Sprintf("process %s (%s)", filepath.Base(process), strings.TrimSpace(string(command))))
				break
			}
		}
	}
	return left
}

// startOf returns when a process started, in ticks since the boot
// (proc_pid_stat(5)).
func startOf(process string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(process, "stat"))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("%s/stat is malformed", process)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// ticks returns the current time in the unit of startOf: hundredths of a
// second, which Linux uses for all programs.
func ticks() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // there is that clock
	}
	return uint64(now.Sec)*100 + uint64(now.Nsec)/1e7
}

// mounts lists the mounts on the lab's disks in this process's mount namespace.
func (l *Lab) mounts() []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{"mounts that cannot be listed: " + err.Error()}
	}
	var left []string
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, l.dir) {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	return left
}

func (l *Lab) links() []string {
	if l.link == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join("/sys/class/net", l.link)); err == nil {
		return []string{"link " + l.link}
	}
	return nil
}
