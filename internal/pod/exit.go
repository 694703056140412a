package pod

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// An ExitError is returned when a container ended although it should run, or
// ended in error. It contains everything that is known about the reason.
type ExitError struct {
	Container string
	ExitCode  int32
	Reason    string   // Error, OOMKilled, ContainerCannotRun
	Message   string   // its termination message, or the runtime's
	Log       []string // the last lines of its log, the newest last
	Hints     []Hint   // paths that it could not write or find, according to its log
}

// maxExitLog bounds the lines of a container's log in an error.
const maxExitLog = 10

// Error returns one line, followed by the hints and the last lines of the log.
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

// A Hint is a path in an error message of a program.
type Hint struct {
	Path  string
	Error string // the message of strerror(3), such as "Read-only file system"
}

// String returns the path and the error, and the fix if it is known.
func (h Hint) String() string {
	if h.Error == readOnly {
		return fmt.Sprintf("%s: %s (%s)", h.Path, h.Error, remedy(h.Path))
	}
	return fmt.Sprintf("%s: %s", h.Path, h.Error)
}

// remedy returns what allows a program to write to a path on a read-only root.
func remedy(name string) string {
	below := func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }
	switch name = path.Clean(name); {
	case profile.RuntimeFile(name) != "":
		return profile.RuntimeFile(name)
	case below("/dev"), below("/proc"), below("/sys"):
		return "no volume can be mounted there"
	case path.Dir(name) == "/":
		return "no volume can be mounted at /; one at " + name + " helps if the program accepts that it exists"
	}
	return "it needs a volume there"
}

// onVolumes adds the volume to the hints about paths on a container's volumes, which
// no other volume can make writable.
func onVolumes(list []Hint, ctr *corev1.Container) []Hint {
	for i, h := range list {
		for _, m := range ctr.VolumeMounts {
			if h.Error == readOnly && (h.Path == m.MountPath || strings.HasPrefix(h.Path, strings.TrimSuffix(m.MountPath, "/")+"/")) {
				list[i].Error = readOnly + " on volume " + m.Name
			}
		}
	}
	return list
}

// readOnly is the error of a write to a read-only root file system.
const readOnly = "Read-only file system"

var pathErrors = []string{readOnly, "No such file or directory", "Permission denied", "No space left on device"}

// absolutePath matches an absolute path, which may be quoted.
var absolutePath = regexp.MustCompile(`(?:^|[\s"'=(:\[` + "`" + `])(/[^\s"'` + "`" + `:;,)\]]*)`)

// maxHints bounds the hints in an error.
const maxHints = 8

// hints finds paths in the error messages of a log.
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

// location matches what follows the name of a file to tell a line in it.
var location = regexp.MustCompile(`^:[0-9]`)

// nearestPath returns the last path before the text of the error, where most
// programs print it, or else the first path after it. A line of a configuration is
// chosen only if there is no other path.
func nearestPath(line string, at int) string {
	var found, configuration string
	for _, m := range absolutePath.FindAllStringSubmatchIndex(line, -1) {
		p := strings.TrimRight(line[m[2]:m[3]], ".")
		if p == "/" || p == "" {
			continue
		}
		if location.MatchString(line[m[3]:]) {
			configuration = p
			continue
		}
		if m[2] > at && found != "" {
			break
		}
		found = p
	}
	return cmp.Or(found, configuration)
}

// exitError returns the reason why a container ended, with lines of its log.
func exitError(l layout, ctr *corev1.Container, st *runtimeapi.ContainerStatus) *ExitError {
	lines := tail(filepath.Join(l.Logs(), translate.LogPath(ctr.Name, st.Metadata.Attempt)), 200)
	return &ExitError{
		Container: ctr.Name,
		ExitCode:  st.ExitCode,
		Reason:    st.Reason,
		Message:   terminationMessage(l, ctr, st),
		Log:       lines[max(0, len(lines)-maxExitLog):],
		Hints:     onVolumes(hints(append(slices.Clone(lines), st.Message)), ctr),
	}
}

// maxTerminationMessage bounds a termination message, in bytes, as in the kubelet.
const maxTerminationMessage = 4096

// terminationMessage returns a container's termination message, or the runtime's
// message if it has none.
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

// tailBytes bounds the end of a log that is searched for its last lines.
const tailBytes = 64 << 10

// tail returns the last n lines of a container's log, without the runtime's
// timestamps. It returns nil if the log cannot be read.
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
	if size > tailBytes { // drop the rest of a line
		data = data[bytes.IndexByte(data, '\n')+1:]
	}
	var out []string
	for line := range bytes.Lines(data) {
		out = append(out, logText(strings.TrimRight(string(line), "\n")))
	}
	return out[max(0, len(out)-n):]
}

// logText returns the program's text in a line of a CRI log, which begins with a
// time, a stream and a tag.
func logText(line string) string {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 || fields[1] != "stdout" && fields[1] != "stderr" {
		return line
	}
	return strings.ToValidUTF8(fields[3], "\uFFFD")
}
