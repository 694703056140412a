package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
)

// Version is the document of `version -o json`.
type Version struct {
	document.Header
	Version    string    `json:"version"`            // "v1.2.3", of a commit between releases a pseudo-version, or "(devel)"
	Commit     string    `json:"commit,omitempty"`   // empty if the program was not built in a clone
	Modified   bool      `json:"modified,omitempty"` // the clone had changes that were not committed
	Committed  time.Time `json:"committed,omitzero"` // date of the commit
	Go         string    `json:"go"`
	Platform   string    `json:"platform"` // "linux/amd64"
	Kernel     string    `json:"kernel"`   // release of the running kernel
	Containerd Tool      `json:"containerd"`
	Runc       Tool      `json:"runc"`
}

// A Tool is a program on this machine that Adamant starts.
type Tool struct {
	Path    string `json:"path,omitempty"` // empty if it was not found
	Version string `json:"version,omitempty"`
}

// BuildVersion returns the version of this program.
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}

// NewVersion returns the document of this program's build, which may be nil, and of the
// machine.
func NewVersion(info *debug.BuildInfo, kernel string, containerd, runc pod.Tool) Version {
	v := Version{
		Header: document.NewHeader(document.Version), Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Kernel: kernel, Containerd: Tool(containerd), Runc: Tool(runc),
	}
	if info == nil {
		return v
	}
	v.Version = cmp.Or(info.Main.Version, v.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		case "vcs.time":
			v.Committed, _ = time.Parse(time.RFC3339, s.Value) // zero if it is none
		}
	}
	return v
}

// WriteText implements Text.
func (v Version) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "adamant version", v.Version)
	commit := cmp.Or(v.Commit, "unknown: it was not built in a clone")
	if v.Modified {
		commit += ", with changes"
	}
	for _, line := range []struct{ name, text string }{
		{"commit", commit}, {"go", v.Go + " " + v.Platform}, {"kernel", v.Kernel}, {"containerd", v.Containerd.String()}, {"runc", v.Runc.String()},
	} {
		fmt.Fprintf(b, "%-11s %s\n", line.name, text.EscapeLines(line.text))
	}
	return b.Flush()
}

// String returns the version and the path, or that there is no such program.
func (t Tool) String() string {
	if t.Path == "" {
		return "not found"
	}
	return cmp.Or(t.Version, "unknown version") + " (" + t.Path + ")"
}
