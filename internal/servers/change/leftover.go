package change

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// changeVariable is in the environment of all programs that a change starts, so that those
// that it left running are found.
const changeVariable = "ADAMANT_CHANGE="

// endLeftovers kills the programs that a change left running: one of them may undo the
// undo. Services that the change started through the service manager are units, and are
// restored as such.
func (r *runner) endLeftovers(context.Context) error {
	want := []byte(changeVariable + r.job.ID)
	// A program may fork as it is killed.
	for range 3 {
		ended := 0
		dirs, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			pid, err := strconv.Atoi(filepath.Base(dir))
			if err != nil || pid == os.Getpid() || !hasVariable(pid, want) {
				continue
			}
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				ended++
			}
		}
		r.state.Undo.Ended += ended
		if ended == 0 {
			break
		}
	}
	return nil
}

// hasVariable reports whether a process was started with a variable.
func hasVariable(pid int, variable []byte) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false // it has ended
	}
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(v, variable) {
			return true
		}
	}
	return false
}

// cancelShutdown cancels a shutdown that the change scheduled.
func (r *runner) cancelShutdown(ctx context.Context) error {
	if !exists("/run/systemd/shutdown/scheduled") {
		return nil
	}
	return programError("shutdown", runProgram(ctx, io.Discard, "shutdown", "-c"))
}
