package reach

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// programTimeout bounds each program that reads or changes the state.
const programTimeout = 30 * time.Second

// environment is fixed, so that the output of programs is in English.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}

// has reports whether a program is installed.
func has(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// output returns the standard output of a program.
func output(ctx context.Context, name string, args ...string) (string, error) {
	return runProgram(ctx, "", name, args...)
}

// runProgram runs a program with an input, and returns its standard output. An error
// contains the last line of its error output.
func runProgram(ctx context.Context, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdin = environment, strings.NewReader(stdin)
	cmd.WaitDelay = time.Second // a child that outlives the program may keep its output open
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lines[len(lines)-1])
	}
	return string(out), nil
}
