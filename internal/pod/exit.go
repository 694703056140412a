package pod

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// An ExitError is returned when a container ended although it should run, or
// ended in error. It holds everything that is known about the reason.
type ExitError struct {
	Container string
	ExitCode  int32
	Reason    string   // Error, OOMKilled, ContainerCannotRun
	Message   string   // its termination message, or the runtime's
	Log       []string // its last lines, the newest last
	Hints     []Hint   // paths that it could not write or find, according to its log
}

// maxExitLog is how many of a container's last lines an error carries.
const maxExitLog = 10

// Error is one line and, below it, the paths in question and the last lines of
// the log.
func (e *ExitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "container %s ended with exit code %d", e.Container, e.ExitCode)
	if e.Reason != "" && e.Reason != "Error" && e.Reason != "Completed" {
		fmt.Fprintf(&b, " (%s)", e.Reason)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", strings.TrimSpace(e.Message))
	}
	for _, h := range e.Hints {
		fmt.Fprintf(&b, "\n  %s", h)
	}
	for _, line := range e.Log {
		fmt.Fprintf(&b, "\n  | %s", line)
	}
	return b.String()
}

// A Hint is a path that a program complained about.
type Hint struct {
	Path  string
	Error string // in the words of the C library: "Read-only file system"
}

// String adds what to do about the hint, if that is known.
func (h Hint) String() string {
	if h.Error == readOnly {
		return fmt.Sprintf("%s: %s (it needs a volume there)", h.Path, h.Error)
	}
	return fmt.Sprintf("%s: %s", h.Path, h.Error)
}

// The errors of a path that a sealed pod meets.
const readOnly = "Read-only file system"

var pathErrors = []string{readOnly, "No such file or directory", "Permission denied", "No space left on device"}

// absolutePath finds absolute paths, also quoted ones.
var absolutePath = regexp.MustCompile(`(?:^|[\s"'=(:\[` + "`" + `])(/[^\s"'` + "`" + `:;,)\]]*)`)

// maxHints bounds how many paths an error carries.
const maxHints = 8

// hints finds the paths that lines of a log complain about.
func hints(lines []string) []Hint {
	var out []Hint
	for _, line := range lines {
		lower := strings.ToLower(line)
		for _, text := range pathErrors {
			at := strings.Index(lower, strings.ToLower(text))
			if at < 0 {
				continue
			}
			if p := nearestPath(line, at); p != "" {
				h := Hint{Path: p, Error: text}
				if !slices.Contains(out, h) && len(out) < maxHints {
					out = append(out, h)
				}
			}
		}
	}
	return out
}

// nearestPath is the last path before the error's text, where programs put it,
// or else the first after it.
func nearestPath(line string, at int) string {
	var found string
	for _, m := range absolutePath.FindAllStringSubmatchIndex(line, -1) {
		p := strings.TrimRight(line[m[2]:m[3]], ".")
		if p == "/" || p == "" {
			continue
		}
		if m[2] > at && found != "" {
			break
		}
		found = p
	}
	return found
}

// exitError gathers why a container ended.
func exitError(l layout, ctr *corev1.Container, st *runtimeapi.ContainerStatus) *ExitError {
	lines := tail(filepath.Join(l.Logs(), translate.LogPath(ctr.Name, st.Metadata.Attempt)), 200)
	return &ExitError{
		Container: ctr.Name,
		ExitCode:  st.ExitCode,
		Reason:    st.Reason,
		Message:   terminationMessage(l, ctr, st),
		Log:       lines[max(0, len(lines)-maxExitLog):],
		Hints:     hints(append(slices.Clone(lines), st.Message)),
	}
}

// maxTerminationMessage is how much of a termination message is read, in bytes: the
// kubelet's limit.
const maxTerminationMessage = 4096

// terminationMessage is a container's termination message, the runtime's message if it
// left none.
func terminationMessage(l layout, c *corev1.Container, st *runtimeapi.ContainerStatus) string {
	if f, err := os.Open(l.TerminationLog(c.Name, st.Metadata.Attempt)); err == nil {
		defer f.Close()
		data, _ := io.ReadAll(io.LimitReader(f, maxTerminationMessage))
		if len(data) > 0 {
			return strings.ToValidUTF8(string(data), "\uFFFD")
		}
	}
	if st.Message == "" && st.ExitCode != 0 && c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		return strings.Join(tail(filepath.Join(l.Logs(), translate.LogPath(c.Name, st.Metadata.Attempt)), 5), "\n")
	}
	return st.Message
}

// tailBytes is how much of the end of a log is looked at.
const tailBytes = 64 << 10

// tail returns the last n lines of a container's log, without the runtime's
// time stamps. A log that cannot be read has none.
func tail(path string, n int) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil
	}
	data := make([]byte, min(size, tailBytes))
	if _, err := f.ReadAt(data, size-int64(len(data))); err != nil && err != io.EOF {
		return nil
	}
	if size > tailBytes { // begin with a whole line
		data = data[bytes.IndexByte(data, '\n')+1:]
	}
	var out []string
	for line := range bytes.Lines(data) {
		out = append(out, logText(strings.TrimRight(string(line), "\n")))
	}
	return out[max(0, len(out)-n):]
}

// logText takes the program's text out of a line of a CRI log: time, stream
// and tag come before it.
func logText(line string) string {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 || fields[1] != "stdout" && fields[1] != "stderr" {
		return line
	}
	return strings.ToValidUTF8(fields[3], "\uFFFD")
}
