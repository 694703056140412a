package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// trimEvery is how often the daemon gives back what it holds of its program.
const trimEvery = time.Minute

// trimProgram has the pages of the program itself not count as the daemon's
// own until they are needed again: the start touches most of a large program,
// and the rest of the daemon's life little of it. They stay in the page cache.
// It ends with ctx.
func trimProgram(ctx context.Context) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			releaseProgram() // it only saves memory: an error is none
		}
	}
}

// A mapping is a part of the address space, and what memory of it is not the
// file's any more.
type mapping struct {
	from, to  uintptr
	anonymous int
}

func releaseProgram() error {
	list, err := programMappings()
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.anonymous > 0 {
			continue // the loader wrote to it: that would be lost
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
	}
	return nil
}

// programMappings are those of this program's file that cannot be written
// (proc(5), smaps).
func programMappings() ([]mapping, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []mapping
	inside := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		var m mapping
		var perms string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &perms); n == 3 {
			inside = strings.HasSuffix(line, " "+self) && !strings.Contains(perms, "w")
			if inside {
				list = append(list, m)
			}
		} else if inside {
			fmt.Sscanf(line, "Anonymous: %d kB", &list[len(list)-1].anonymous)
		}
	}
	return list, lines.Err()
}
