package change

import (
	"strings"
	"testing"
)

// The cause of a failure is in the output of the program that failed. The output of
// the steps before is no cause of a program that could not be started.
func TestCauseIsOfTheProgramThatRan(t *testing.T) {
	const output = "Processing triggers for libc-bin ...\nE: Unable to locate package nosuch\n"
	for _, test := range []struct {
		name, program string
		args          []string
		want          bool
	}{
		{"exits", "sh", []string{"-c", "exit 3"}, true},
		{"is killed", "sh", []string{"-c", "kill -9 $$"}, true},
		{"does not exist", "/nonexistent/program", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := &tailBuffer{max: maxOutput}
			err := withCause(programError("the program", runProgram(t.Context(), out, test.program, test.args...)), output)
			if err == nil || strings.Contains(err.Error(), "nosuch") != test.want {
				t.Errorf("got %v; want a cause: %t", err, test.want)
			}
		})
	}
}
