package api

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// releaseInterval is the time between two releases of the program's pages.
const releaseInterval = time.Minute

// releaseMemory releases the resident pages of the program itself every
// releaseInterval until ctx ends. Starting touches most pages of a large program
// and serving touches few; the kernel reads them from the page cache when they
// are needed again.
func releaseMemory(ctx context.Context) {
	tick := time.NewTicker(releaseInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			releaseProgram() // an error costs memory and nothing else
		}
	}
}

// A mapping is a part of the address space.
type mapping struct {
	from, to  uintptr
	anonymous int // kB that are not backed by the file any more
}

func releaseProgram() error {
	list, err := programMappings()
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.anonymous > 0 {
			continue // the loader wrote to it, which MADV_DONTNEED would revert
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
	}
	return nil
}

// programMappings returns the mappings of this program's file that are not
// writable (proc(5), smaps).
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
