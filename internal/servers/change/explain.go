package change

import (
	"regexp"
	"strings"
)

// A cause is a message of a program and the sentence that explains it, in which $1
// stands for the first group of the pattern.
type cause struct {
	pattern  *regexp.Regexp
	sentence string
}

// systemCauses explain messages of any program whose reason is the machine.
var systemCauses = []cause{
	{regexp.MustCompile(`(?m)No space left on device`), "the disk is full"},
	{regexp.MustCompile(`(?m)Read-only file system`), "the file system is read-only"},
}

// networkCauses explain the messages of apt, curl and wget.
var networkCauses = []cause{
	{regexp.MustCompile(`(?m)Temporary failure resolving '([^']*)'|Could not resolve host: (\S+)`), "the server cannot resolve $1$2"},
	{regexp.MustCompile(`(?m)(?:Could not connect to|Failed to connect to|Cannot initiate the connection to) (\S+)`), "the server does not reach $1"},
}

// findCause returns the sentence of the first cause that matches, empty if none does.
func findCause(causes []cause, output string) string {
	for _, c := range causes {
		if m := c.pattern.FindStringSubmatchIndex(output); m != nil {
			return string(c.pattern.ExpandString(nil, c.sentence, output, m))
		}
	}
	return ""
}

// maxCause bounds a line of output that is the cause of a failure, in bytes.
const maxCause = 300

// explain returns the cause of a failure in one sentence: that of the first known
// message, or else the last line of the output. It is empty if there is no output.
// It tries every package manager, because a command or a script may run one, too.
func explain(output string) string {
	// Other messages are often consequences of a full disk.
	if text := findCause(systemCauses, output); text != "" {
		return text
	}
	for _, m := range packageManagers {
		if text, _ := m.open(nil).explain(output); text != "" {
			return text
		}
	}
	if text := findCause(networkCauses, output); text != "" {
		return text
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	return strings.ToValidUTF8(last[:min(len(last), maxCause)], "?")
}
