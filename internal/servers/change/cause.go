package change

import (
	"regexp"
	"strings"
)

// causes are what package managers and programs say when they fail, and what that
// means in a sentence; $1 is what the first group matched. The first that occurs
// counts.
var causes = []struct {
	says  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`(?m)No space left on device`), "the disk is full"},
	{regexp.MustCompile(`(?m)[Yy]ou don't have enough free space in (\S+?)\.?$`), "the disk is full: not enough space in $1"},
	{regexp.MustCompile(`(?m)Read-only file system`), "the file system is read-only"},
	{regexp.MustCompile(`(?m)Could not get lock (\S+?)\.`), "another package manager is at work: it holds $1"},
	{regexp.MustCompile(`(?m)dpkg was interrupted, you must manually run`), "an earlier update was interrupted: dpkg --configure -a finishes it"},
	{regexp.MustCompile(`(?m)^E: Version '([^']*)' for '([^']*)' was not found`), "no repository of the server has $2 $1"},
	{regexp.MustCompile(`(?m)^E: Unable to locate package (\S+)`), "no repository of the server has $1"},
	{regexp.MustCompile(`(?m)^E: Held packages were changed`), "a package that it must change is held"},
	{regexp.MustCompile(`(?m)^E: Unable to correct problems, you have held broken packages`), "what it depends on cannot be installed"},
	{regexp.MustCompile(`(?m)^E: Package '?([^ ']+)'? has no installation candidate`), "no repository of the server has $1"},
	{regexp.MustCompile(`(?m)Temporary failure resolving '([^']*)'|Could not resolve host: (\S+)`), "the server cannot resolve $1$2"},
	{regexp.MustCompile(`(?m)(?:Could not connect to|Failed to connect to|Cannot initiate the connection to) (\S+)`), "the server does not reach $1"},
	{regexp.MustCompile(`(?m)Hash Sum mismatch`), "a repository's files are not as its lists say"},
	{regexp.MustCompile(`(?m)^E: Failed to fetch (\S+) +(.*)$`), "$1 cannot be had: $2"},
	{regexp.MustCompile(`(?m)^dpkg: error processing (?:package|archive) (\S+)`), "the package's own scripts failed for $1"},
	{regexp.MustCompile(`(?m)^Sub-process .* returned an error code`), "the package's own scripts failed"},
}

// unmet names what apt says cannot be installed.
var unmet = regexp.MustCompile(`(?m)^ *(\S+) : (?:Pre-)?Depends: ([^\n]*?) but (.*)$`)

// Cause finds in the output of a failed change what it failed of, in a sentence.
// It returns the last line if it knows no better, and nothing if there is none.
func Cause(output string) string {
	if m := unmet.FindStringSubmatch(output); m != nil {
		return m[1] + " needs " + m[2] + ", but " + strings.TrimSuffix(m[3], " or")
	}
	for _, c := range causes {
		if m := c.says.FindStringSubmatchIndex(output); m != nil {
			return string(c.says.ExpandString(nil, c.means, output, m))
		}
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if len(last) > 300 {
		last = last[:300]
	}
	return strings.ToValidUTF8(last, "?")
}
