package report

// A Verdict is the outcome of a command, and its value is the exit code: a
// contract that docs/reference/cli.md documents.
type Verdict int

// The verdicts. Findings and Incomplete are results of a command that worked; its
// output has the details.
const (
	Clean      Verdict = 0
	Failed     Verdict = 1 // an error ended the command
	Misused    Verdict = 2 // the command line is invalid
	Findings   Verdict = 3 // findings or drift
	Incomplete Verdict = 4 // something could not be checked; never the same as clean
)

// The verdicts of updates of servers, by the worst outcome of a server.
const (
	Unreachable Verdict = 5
	Unchanged   Verdict = 6 // failed, and nothing is different
	HalfChanged Verdict = 7
	RolledBack  Verdict = 8
	NotBegun    Verdict = 9
)

// verdictOf returns the verdict of a check. What could not be checked outweighs
// what was found, because it may hide more than was found.
func verdictOf(found, unknown bool) Verdict {
	switch {
	case unknown:
		return Incomplete
	case found:
		return Findings
	}
	return Clean
}
