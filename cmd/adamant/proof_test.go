package main

import (
	"bytes"
	"testing"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/report"
)

// TestProofExitCodes checks that a proof that failed and one that did not see
// everything have different exit codes.
func TestProofExitCodes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		proof learn.Proof
		want  int
	}{
		{"passed", learn.Proof{Passed: true}, int(report.Clean)},
		{"failed", learn.Proof{Reasons: []string{"not healthy"}}, int(report.Findings)},
		{"passed without seeing all", learn.Proof{Passed: true, Weak: []string{"io_uring: its requests are not seen"}}, int(report.Incomplete)},
		{"failed without seeing all", learn.Proof{Weak: []string{"x"}}, int(report.Findings)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, stderr bytes.Buffer
			a := &app{out: &out, err: &stderr, output: "text", color: "never"}
			if got := a.exitCode(newProveCommand(a), a.printVerdict(learn.NewProofList([]learn.Proof{tc.proof}))); got != tc.want {
				t.Errorf("exit code %d, want %d\n%s%s", got, tc.want, out.String(), stderr.String())
			}
		})
	}
}
