package copyup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A job is the work of the test binary when it runs as the init container.
type job struct {
	Options
	Announce bool   // write a byte to standard output when the copying begins
	Cover    string // a directory to mount an empty file system over first, in a mount namespace of its own
}

const jobVariable = "COPY_UP_JOB"

func TestMain(m *testing.M) {
	if text := os.Getenv(jobVariable); text != "" {
		os.Exit(runJob(text))
	}
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests need root: owners, devices and capabilities are what they are about")
		os.Exit(1)
	}
	unix.Umask(0)
	os.Exit(m.Run())
}

// runJob exits with 0, 1 for an error, and 3 for ErrNotKept. Warnings go to
// standard error.
func runJob(text string) int {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if j.Cover != "" {
		if err := unix.Mount("none", j.Cover, "tmpfs", 0, ""); err != nil {
			fmt.Fprintln(os.Stderr, "mount:", err)
			return 2
		}
		if err := os.WriteFile(j.Cover+"/secret", []byte("not of the image"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	if j.Announce {
		fmt.Print(".")
	}
	j.Warn = func(line string) { fmt.Fprintln(os.Stderr, line) }
	switch err := Run(context.Background(), j.Options); {
	case errors.Is(err, ErrNotKept):
		return 3
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}
