package sshd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// leftovers lists what there still is of a lab that has ended. The kernel takes
// a network apart a little after its last process.
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

// processes lists those in a namespace of the lab.
func (l *Lab) processes() []string {
	var left []string
	found, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, process := range found {
		for _, kind := range []string{"net", "pid", "mnt"} {
			if id, err := os.Readlink(filepath.Join(process, "ns", kind)); err == nil && l.ids[id] {
				command, _ := os.ReadFile(filepath.Join(process, "comm"))
				left = append(left, fmt.Sprintf("process %s (%s)", filepath.Base(process), strings.TrimSpace(string(command))))
				break
			}
		}
	}
	return left
}

// mounts lists those on the lab's disks that this process sees.
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
